import time

from flask import Flask, Response, request

app = Flask(__name__)


@app.get("/")
def hello():
    return "hello\n"


@app.post("/count")
def count():
    return f"{len(request.get_data())}\n"


@app.get("/stream")
def stream():
    def lines():
        for line in range(10):
            yield f"line {line}\n"
            time.sleep(0.05)

    return Response(lines(), mimetype="text/plain")

// As Express' own documentation has it: nothing here knows of slotd.
const express = require("express");

const app = express();
app.use(express.raw({ type: () => true }));
app.get("/", (_request, response) => response.send("hello\n"));
app.post("/count", (request, response) => response.send(`${request.body.length}\n`));
app.get("/stream", async (_request, response) => {
  for (let line = 0; line < 10; line++) {
    response.write(`line ${line}\n`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  response.end();
});
app.listen(process.env.PORT || 3000);

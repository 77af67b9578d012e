// The smallest app for slotd: it listens on the inherited socket, and stops gracefully.
import { createServer } from "node:http";

const server = createServer((_request, response) => {
  response.setHeader("x-app-version", process.env.SLOTD_VERSION ?? "none");
  response.end(`hello from ${process.env.SLOTD_VERSION}, worker ${process.env.SLOTD_WORKER}\n`);
});

// With LISTEN_FDS, descriptor 3 is already a listening socket. Without slotd, listen on PORT.
server.listen(process.env.LISTEN_FDS ? { fd: 3 } : Number(process.env.PORT ?? 3000), () => {
  console.log(`hello ${process.env.SLOTD_VERSION}: listening`);
});

process.on("SIGTERM", () => {
  console.log(`hello ${process.env.SLOTD_VERSION}: finishing the requests in flight`);
  server.close();
  server.closeIdleConnections();
});

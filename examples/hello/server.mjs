// The smallest app for slotd: it takes the inherited socket, and ends gracefully.
import { createServer } from "node:http";

const server = createServer((_request, response) => {
  response.setHeader("x-app-version", process.env.SLOTD_VERSION ?? "none");
  response.end(`hello from ${process.env.SLOTD_VERSION}, worker ${process.env.SLOTD_WORKER}\n`);
});

// LISTEN_FDS: descriptor 3 is a listening socket already. Without slotd, on PORT.
server.listen(process.env.LISTEN_FDS ? { fd: 3 } : Number(process.env.PORT ?? 3000));

process.on("SIGTERM", () => {
  server.close();
  server.closeIdleConnections();
});

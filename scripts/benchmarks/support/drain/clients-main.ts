/** Opens connections, sends one request on each, and holds them idle: `PORT COUNT SOURCE-ADDRESS`. */
import { connect } from "node:net";

const AT_ONCE = 200;
const [port, count, localAddress] = process.argv.slice(2) as [string, string, string];

let begun = 0;
const openOnes = async () => {
  while (begun < Number(count)) {
    begun++;
    await openOne();
  }
};
process.on("disconnect", () => process.exit(0));
await Promise.all(Array.from({ length: AT_ONCE }, openOnes));
process.send?.("open");

function openOne(): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port: Number(port), localAddress });
    socket.once("connect", () => socket.write("GET / HTTP/1.1\r\nHost: bench\r\n\r\n"));
    socket.once("data", () => resolve());
    socket.once("error", reject);
    // The drain's end closes it.
    socket.once("close", () => reject(new Error("a connection was closed before it was answered")));
  });
}

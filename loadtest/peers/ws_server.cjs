// A server on the package ws for Node.js. Obeys orders from standard input, as console.py does.
"use strict";

const readline = require("node:readline");
const { setImmediate: turn, setTimeout: pause } = require("node:timers/promises");
const { WebSocketServer } = require("ws");

const server = new WebSocketServer({ host: "127.0.0.1", port: 0, backlog: 4096, perMessageDeflate: false });

function message(number, size) {
  const sent = String(Math.trunc((performance.timeOrigin + performance.now()) * 1000)).padStart(16, "0");
  const head = `{"t":${number},"final":true,"pad":"`;
  const tail = `","sent":${sent}}`;
  return head + ".".repeat(size - head.length - tail.length) + tail;
}

async function obey(line) {
  const [count, interval = 0, size = 256] = line.split(" ").slice(1).map(Number);
  let due = performance.now();
  for (let number = 0; number < count; number++) {
    const text = Buffer.from(message(number, size));
    for (const client of server.clients) client.send(text, { binary: false });
    due += interval / 1000;
    // Timers count whole milliseconds; what that gets wrong is made good by the next.
    const early = Math.round(due - performance.now());
    await (early > 0 ? pause(early) : turn());
  }
  console.log(`published ${count}`);
}

server.on("listening", async () => {
  console.log(`listening ${server.address().port}`);
  for await (const line of readline.createInterface({ input: process.stdin })) await obey(line);
  process.exit(0);
});

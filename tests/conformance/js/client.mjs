// Drives the official JavaScript client: commands come in as JSON lines, events go out as JSON lines.
// It ends when its standard input does. Its argument is the codec, json or protobuf.

import { createInterface } from "node:readline";
import WebSocket from "ws";

const protobuf = process.argv[2] === "protobuf";
const { Centrifuge } = await (protobuf ? import("centrifuge/build/protobuf") : import("centrifuge"));

// In protobuf the SDK takes and gives data as bytes; what is in them is JSON.
const written = (data) => (protobuf && data !== undefined ? new TextEncoder().encode(JSON.stringify(data)) : data);
const read = (data) => (data instanceof Uint8Array ? JSON.parse(new TextDecoder().decode(data) || "null") : data);

let client = null;
let socket = null;

class Socket extends WebSocket {
  constructor(...options) {
    super(...options);
    socket = this;
  }
}

function emit(event, fields) {
  process.stdout.write(`${JSON.stringify({ event, ...fields })}\n`);
}

function connect({ url, token, next_token: nextToken }) {
  client = new Centrifuge(url, {
    websocket: Socket,
    token: token ?? "",
    getToken: nextToken === undefined ? null : async () => nextToken,
    name: "conformance",
    minReconnectDelay: 20,
    maxReconnectDelay: 200,
  });
  client.on("connecting", ({ code, reason }) => emit("connecting", { code, reason }));
  client.on("connected", ({ client: id, data }) => emit("connected", { client: id, data: read(data) }));
  client.on("disconnected", ({ code, reason }) => emit("disconnected", { code, reason }));
  client.on("error", ({ error }) => emit("error", { code: error.code, message: error.message }));
  client.connect();
}

function subscribe({ channel, since, data: options }) {
  const known = client.getSubscription(channel);
  if (known) {
    known.subscribe();
    return;
  }
  const subscription = client.newSubscription(channel, {
    since: since ?? null,
    data: written(options) ?? null,
    minResubscribeDelay: 20,
    maxResubscribeDelay: 200,
  });
  subscription.on("subscribing", ({ code, reason }) => emit("subscribing", { channel, code, reason }));
  subscription.on("subscribed", (context) =>
    emit("subscribed", {
      channel,
      recoverable: context.recoverable,
      positioned: context.positioned,
      position: context.streamPosition ?? null,
      was_recovering: context.wasRecovering,
      recovered: context.recovered,
      data: read(context.data) ?? null,
    }),
  );
  subscription.on("unsubscribed", ({ code, reason }) => emit("unsubscribed", { channel, code, reason }));
  subscription.on("publication", ({ offset, data }) =>
    emit("publication", { channel, offset: offset || null, data: read(data) }),
  );
  subscription.on("error", ({ error }) =>
    emit("subscription_error", { channel, code: error.code, message: error.message }),
  );
  subscription.subscribe();
}

function history({ channel, options }) {
  client.history(channel, options).then(
    ({ publications, epoch, offset }) =>
      emit("history", {
        channel,
        offset,
        epoch,
        publications: publications.map(({ offset: at, data }) => ({ offset: at || null, data: read(data) })),
      }),
    refused,
  );
}

function rpc({ method, data }) {
  client.rpc(method, written(data)).then((result) => emit("rpc", { method, data: read(result.data) }), refused);
}

function stopReading() {
  socket.pause();
  emit("stopped_reading", {});
}

function refused({ code, message }) {
  emit("refused", { code, message });
}

const commands = {
  connect,
  subscribe,
  history,
  rpc,
  unsubscribe: ({ channel }) => client.getSubscription(channel).unsubscribe(),
  disconnect: () => client.disconnect(),
  stop_reading: stopReading,
  read_again: () => socket.resume(),
  connect_again: () => client.connect(),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { op, ...fields } = JSON.parse(line);
  commands[op](fields);
}
client?.disconnect();
process.exit(0);

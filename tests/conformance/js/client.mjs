// Drives the official JavaScript client: commands come in as JSON lines, events go out as JSON lines.
// It ends when its standard input does.

import { createInterface } from "node:readline";
import { Centrifuge } from "centrifuge";
import WebSocket from "ws";

let client = null;

function emit(event, fields) {
  process.stdout.write(`${JSON.stringify({ event, ...fields })}\n`);
}

function connect({ url, token, next_token: nextToken }) {
  client = new Centrifuge(url, {
    websocket: WebSocket,
    token: token ?? "",
    getToken: nextToken === undefined ? null : async () => nextToken,
    name: "conformance",
    minReconnectDelay: 20,
    maxReconnectDelay: 200,
  });
  client.on("connecting", ({ code, reason }) => emit("connecting", { code, reason }));
  client.on("connected", ({ client: id, data }) => emit("connected", { client: id, data }));
  client.on("disconnected", ({ code, reason }) => emit("disconnected", { code, reason }));
  client.on("error", ({ error }) => emit("error", { code: error.code, message: error.message }));
  client.connect();
}

function subscribe({ channel, since }) {
  const known = client.getSubscription(channel);
  if (known) {
    known.subscribe();
    return;
  }
  const subscription = client.newSubscription(channel, {
    since: since ?? null,
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
      data: context.data ?? null,
    }),
  );
  subscription.on("unsubscribed", ({ code, reason }) => emit("unsubscribed", { channel, code, reason }));
  subscription.on("publication", ({ offset, data }) => emit("publication", { channel, offset: offset ?? null, data }));
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
        publications: publications.map(({ offset: at, data }) => ({ offset: at ?? null, data })),
      }),
    refused,
  );
}

function rpc({ method, data }) {
  client.rpc(method, data).then((result) => emit("rpc", { method, data: result.data }), refused);
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
  connect_again: () => client.connect(),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { op, ...fields } = JSON.parse(line);
  commands[op](fields);
}
client?.disconnect();
process.exit(0);

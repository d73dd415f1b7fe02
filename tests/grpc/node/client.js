// A client that knows nothing of Funnel but its .proto files, in the implementation of gRPC for Node.js.
//
// node client.js FOLDER-OF-PROTOS ADDRESS: creates, gets, lists and cancels, and says as JSON what it saw.
"use strict";

const path = require("node:path");
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const [folder, address] = process.argv.slice(2);
const options = { keepCase: true, longs: String, enums: String, defaults: true, includeDirs: [folder] };
const { tes } = grpc.loadPackageDefinition(loader.loadSync(path.join(folder, "tes.proto"), options));
const client = new tes.TaskService(address, grpc.credentials.createInsecure());

// A call, with what came of it: the answer, or code and text of the error.
function call(name, request, headers = {}) {
  const metadata = new grpc.Metadata();
  Object.entries(headers).forEach(([key, value]) => metadata.set(key, value));
  return new Promise((resolve) => {
    client[name](request, metadata, { deadline: Date.now() + 20000 }, (error, answer) => {
      resolve(error ? { code: grpc.status[error.code], details: error.details } : answer);
    });
  });
}

const TASK = {
  name: "from another language",
  executors: [{ image: "alpine", command: ["echo", "ü"], env: { A: "1" } }],
  inputs: [{ path: "/in", content: "text" }],
  resources: { cpu_cores: 1, ram_gb: 0.5 },
  tags: { language: "javascript" },
};

async function main() {
  const key = { "idempotency-key": "once" };
  const made = await call("CreateTask", TASK, key);
  const again = await call("CreateTask", TASK, key);
  const got = await call("GetTask", { id: made.id, view: "FULL" });
  const listed = await call("ListTasks", { view: "BASIC", tag_key: ["language"], tag_value: ["javascript"] });
  const canceled = await call("CancelTask", { id: made.id });
  const after = await call("GetTask", { id: made.id });
  const info = await call("GetServiceInfo", {});
  const missing = await call("GetTask", { id: "none" });
  const wrong = await call("CreateTask", { executors: [{}] });
  console.log(JSON.stringify({ made, again, got, listed, canceled, after, info, missing, wrong }));
  client.close();
}

main();

// A server of the official TypeScript package 1.x, which only speaks 2025-11-25, with sessions.
// Usage: node sessions.mjs PORT [ISSUER]. With ISSUER, it accepts only tokens of this
// authorization server. `POST /forget` ends all sessions.
import { randomUUID } from "node:crypto";

import { requireBearerAuth } from "@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js";
import {
  getOAuthProtectedResourceMetadataUrl,
  mcpAuthMetadataRouter,
} from "@modelcontextprotocol/sdk/server/auth/router.js";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { UrlElicitationRequiredError } from "@modelcontextprotocol/sdk/types.js";
import express from "express";
import { z } from "zod";

import { introspection, metadataOf } from "./authorization.mjs";

const transports = new Map();

function newServer() {
  const server = new McpServer({ name: "sessions", version: "1.0.0" });
  server.registerTool(
    "add",
    {
      description: "Add two numbers.",
      inputSchema: { a: z.number(), b: z.number() },
      outputSchema: { total: z.number() },
      annotations: { readOnlyHint: true },
    },
    ({ a, b }) => ({
      content: [{ type: "text", text: String(a + b) }],
      structuredContent: { total: a + b },
    }),
  );
  server.registerTool("picture", { description: "Return a picture." }, () => ({
    content: [{ type: "image", data: "iVBORw0KGgo=", mimeType: "image/png" }],
  }));
  server.registerTool("fail", { description: "Fail." }, () => {
    throw new Error("The printer is on fire.");
  });
  server.registerTool(
    "count",
    { description: "Count and report progress.", inputSchema: { to: z.number() } },
    async ({ to }, extra) => {
      const progressToken = extra._meta?.progressToken;
      for (let progress = 1; progress <= to && progressToken !== undefined; progress++) {
        const params = { progressToken, progress, total: to, message: `number ${progress}` };
        await extra.sendNotification({ method: "notifications/progress", params });
      }
      return { content: [{ type: "text", text: "done" }] };
    },
  );
  // The transport sends it without asking whether the client can answer.
  server.registerTool("ask", { description: "Ask a person." }, async (extra) => {
    const requestedSchema = { type: "object", properties: { sure: { type: "boolean" } } };
    const params = { mode: "form", message: "Are you sure?", requestedSchema };
    const result = z.object({ action: z.string() });
    const { action } = await extra.sendRequest({ method: "elicitation/create", params }, result);
    return { content: [{ type: "text", text: action }] };
  });
  server.registerTool("connect", { description: "Ask a person to open an address." }, () => {
    const url = "https://example.com/connect";
    throw new UrlElicitationRequiredError([
      { mode: "url", message: "Connect your account.", url, elicitationId: "connection-1" },
    ]);
  });
  return server;
}

async function serve(request, response) {
  if (request.url === "/forget") {
    transports.clear();
    response.writeHead(204).end();
    return;
  }
  const known = request.headers["mcp-session-id"];
  if (known && !transports.has(known)) {
    response.writeHead(404).end();
    return;
  }
  let transport = transports.get(known);
  if (!transport) {
    transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (id) => transports.set(id, transport),
    });
    await newServer().connect(transport);
  }
  await transport.handleRequest(request, response);
}

const [port, issuer] = process.argv.slice(2);
const app = express();
if (issuer) {
  const resourceServerUrl = new URL(`http://127.0.0.1:${port}/mcp`);
  app.use(mcpAuthMetadataRouter({ oauthMetadata: metadataOf(issuer), resourceServerUrl }));
  const resourceMetadataUrl = getOAuthProtectedResourceMetadataUrl(resourceServerUrl);
  const verifier = introspection(issuer);
  app.use(requireBearerAuth({ verifier, expectedResource: resourceServerUrl, resourceMetadataUrl }));
}
app.use(serve);
app.listen(Number(port), "127.0.0.1");

// A server of the official TypeScript packages 2.x, which speaks 2026-07-28.
// Usage: node stateless.mjs PORT [ISSUER]. With ISSUER, it accepts only tokens of this
// authorization server.
import { createServer } from "node:http";

import { toNodeHandler } from "@modelcontextprotocol/node";
import {
  McpServer,
  acceptedContent,
  createMcpHandler,
  getOAuthProtectedResourceMetadataUrl,
  inputRequired,
  oauthMetadataResponse,
  requireBearerAuth,
} from "@modelcontextprotocol/server";
import { z } from "zod";

import { introspection, metadataOf } from "./authorization.mjs";

let paid = 0;

function newServer() {
  const server = new McpServer({ name: "stateless", version: "1.0.0" });
  server.registerTool(
    "add",
    {
      description: "Add two numbers.",
      inputSchema: z.object({ a: z.number(), b: z.number() }),
      outputSchema: z.object({ total: z.number() }),
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
    "pay",
    { description: "Pay an order.", inputSchema: z.object({ order: z.string() }) },
    ({ order }, context) => {
      const answer = context.mcpReq.inputResponses;
      if (!answer) {
        const requestedSchema = z.object({ sure: z.boolean() });
        const message = `Pay order ${order}?`;
        const confirm = inputRequired.elicit({ message, requestedSchema });
        return inputRequired({ inputRequests: { confirm }, requestState: `order ${order}` });
      }
      const content = acceptedContent(answer, "confirm");
      const text = content?.sure ? `paid ${++paid}` : "not paid";
      return { content: [{ type: "text", text }] };
    },
  );
  return server;
}

const [port, issuer] = process.argv.slice(2);
const open = createMcpHandler(newServer);

function onlyWithToken() {
  const resourceServerUrl = new URL(`http://127.0.0.1:${port}/mcp`);
  const metadata = { oauthMetadata: metadataOf(issuer), resourceServerUrl };
  const authorize = requireBearerAuth({
    verifier: introspection(issuer),
    expectedResource: resourceServerUrl,
    resourceMetadataUrl: getOAuthProtectedResourceMetadataUrl(resourceServerUrl),
  });
  return {
    async fetch(request) {
      const described = oauthMetadataResponse(request, metadata);
      if (described) return described;
      const authInfo = await authorize(request);
      return authInfo instanceof Response ? authInfo : open.fetch(request, { authInfo });
    },
  };
}

const handle = toNodeHandler(issuer ? onlyWithToken() : open);
createServer((request, response) => handle(request, response)).listen(Number(port), "127.0.0.1");

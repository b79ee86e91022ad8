// What the servers know of the authorization server that protects them.

export function metadataOf(issuer) {
  return {
    issuer,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    response_types_supported: ["code"],
  };
}

// Return a verifier that asks the authorization server whether a token is valid.
export function introspection(issuer) {
  return {
    async verifyAccessToken(token) {
      const response = await fetch(`${issuer}/introspect?token=${encodeURIComponent(token)}`);
      const found = await response.json();
      const isActive = found.active && found.resource;
      return {
        token,
        clientId: "runyard",
        scopes: [],
        // An expired token is rejected with 401.
        expiresAt: isActive ? Date.now() / 1000 + 60 : 1,
        resource: isActive ? new URL(found.resource) : undefined,
      };
    },
  };
}

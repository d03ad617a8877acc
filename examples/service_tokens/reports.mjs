// The other service, in Node: it knows the user by a service token, with jose alone.

import { createServer } from "node:http";
import { createRemoteJWKSet, errors, jwtVerify } from "jose";

const issuer = process.env.ISSUER ?? "http://127.0.0.1:8000";
const jwksUrl = process.env.JWKS_URL ?? `${issuer}/.well-known/jwks.json`;
const clients = new Set(["web"]);
const keys = createRemoteJWKSet(new URL(jwksUrl), { cacheMaxAge: 300_000 });

// The claims of a service token (RFC 9068, section 4); throws for a bad one.
async function verify(token) {
  const { payload } = await jwtVerify(token, keys, {
    typ: "at+jwt", // without it, any JWT of the issuer would do
    algorithms: ["ES256", "EdDSA", "RS256"], // name yours alone
    issuer,
    audience: "https://reports.example",
    requiredClaims: ["sub", "client_id", "exp", "iat", "jti"],
  });
  if (!clients.has(payload.client_id)) {
    throw new errors.JWTClaimValidationFailed("client_id", payload, "client_id", "check_failed");
  }
  return payload;
}

// An error of the keys' server, and no fault of the token.
const unreachable = (error) =>
  !(error instanceof errors.JOSEError) ||
  ["ERR_JOSE_GENERIC", "ERR_JWKS_TIMEOUT"].includes(error.code);

const server = createServer(async (request, response) => {
  const answer = (status, headers = {}, body = "") => response.writeHead(status, headers).end(body);
  const [, token] = /^bearer (.*)$/i.exec(request.headers.authorization ?? "") ?? [];
  if (token === undefined) return answer(401, { "WWW-Authenticate": "Bearer" });
  let claims;
  try {
    claims = await verify(token);
  } catch (error) {
    if (unreachable(error)) return answer(503, { "Retry-After": "1" });
    return answer(401, { "WWW-Authenticate": 'Bearer error="invalid_token"' });
  }
  if (!(claims.scope ?? "").split(" ").includes("read")) {
    return answer(403, { "WWW-Authenticate": 'Bearer error="insufficient_scope", scope="read"' });
  }
  const report = { user: claims.sub, report: "all is well" };
  return answer(200, { "Content-Type": "application/json" }, JSON.stringify(report));
});

server.listen(Number(process.env.PORT ?? 8001), "127.0.0.1", () => {
  console.log(`http://127.0.0.1:${server.address().port}/`);
});

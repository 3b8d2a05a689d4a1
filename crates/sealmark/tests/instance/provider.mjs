// A certified OpenID provider that knows one public client, `sigstore`. Who logs in says who they are; the address of
// somebody whose name begins with `unverified` is not verified. It prints its URL when it listens.
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

// `import` alone does not look where NODE_PATH says.
const require = createRequire(import.meta.url);
const { Provider } = await import(pathToFileURL(require.resolve('oidc-provider')));

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const key = { ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'RS256', kid: '1' };

const configuration = {
  clients: [{
    client_id: 'sigstore',
    token_endpoint_auth_method: 'none',
    application_type: 'native',
    grant_types: ['authorization_code', 'urn:ietf:params:oauth:grant-type:device_code'],
    response_types: ['code'],
    // A native client's port is its own affair.
    redirect_uris: ['http://localhost/auth/callback', 'http://127.0.0.1/auth/callback'],
  }],
  // Sigstore's clients read the address from the identity token.
  conformIdTokenClaims: false,
  claims: { openid: ['sub'], email: ['email', 'email_verified'] },
  features: { deviceFlow: { enabled: true }, devInteractions: { enabled: true } },
  pkce: { required: () => true },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, email: id, email_verified: !id.startsWith('unverified') }),
  }),
  jwks: { keys: [key] },
  cookies: { keys: ['for this run'] },
};

const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const url = `http://127.0.0.1:${server.address().port}`;
  server.on('request', new Provider(url, configuration).callback());
  console.log(`provider at ${url}`);
});

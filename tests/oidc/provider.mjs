// A real OpenID Connect provider: node provider.mjs MODULE FOLDER PORT
//
// Client funnel, with the password secret; users alice, bob and admin, who is in the group admins.
// Who asks for a login gets one: login_hint names the user. No page is shown.
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const [module, folder, port] = process.argv.slice(2);
const { default: Provider, interactionPolicy } = await import(pathToFileURL(module));
const read = (name) => JSON.parse(readFileSync(`${folder}/${name}`, 'utf-8'));
const { redirect, audience, seconds } = read('settings.json');
const users = ['alice', 'bob', 'admin'];
const groups = (user) => (user === 'admin' ? ['staff', 'admins'] : ['staff']);

const provider = new Provider(`http://127.0.0.1:${port}`, {
  jwks: read('jwks.json'),
  clients: [{
    client_id: 'funnel',
    client_secret: 'secret',
    redirect_uris: [redirect],
    grant_types: ['authorization_code', 'client_credentials'],
    response_types: ['code'],
  }],
  scopes: ['openid', 'tes'],
  claims: { openid: ['sub', 'groups'] },
  pkce: { required: () => true },
  ttl: { AccessToken: seconds, ClientCredentials: seconds, IdToken: seconds },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: 'openid tes', audience, accessTokenFormat: 'jwt', accessTokenTTL: seconds, jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
  extraTokenClaims: (ctx, token) => ({ groups: groups(token.accountId) }),
  interactions: { policy: interactionPolicy.base(), url: (ctx, interaction) => `/interaction/${interaction.uid}` },
  findAccount: (ctx, sub) => users.includes(sub) && { accountId: sub, claims: () => ({ sub, groups: groups(sub) }) },
  cookies: { keys: ['throw-away'] },
});

// Stands for the pages where people log in and agree.
provider.use(async (ctx, next) => {
  if (!ctx.path.startsWith('/interaction/')) return next();
  const { prompt, params, session } = await provider.interactionDetails(ctx.req, ctx.res);
  if (prompt.name === 'login') {
    const user = params.login_hint || 'alice';
    const result = users.includes(user)
      ? { login: { accountId: user } }
      : { error: 'access_denied', error_description: 'no such user' };
    return provider.interactionFinished(ctx.req, ctx.res, result, { mergeWithLastSubmission: false });
  }
  const grant = new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  grant.addOIDCScope(params.scope);
  if (params.resource) grant.addResourceScope([].concat(params.resource)[0], params.scope);
  const consent = { consent: { grantId: await grant.save() } };
  return provider.interactionFinished(ctx.req, ctx.res, consent, { mergeWithLastSubmission: true });
});

provider.on('server_error', (ctx, error) => console.error(error));
provider.listen(Number(port), '127.0.0.1');

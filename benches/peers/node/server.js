// What a team would write: PPRO's Simple API on fastify, Midtrans' own client, state in memory.
// It checks what one checks at first, keeps payments in a Map, and makes nothing durable.
import { createHmac, randomBytes } from 'node:crypto';
import fastify from 'fastify';
import formbody from '@fastify/formbody';
import midtrans from 'midtrans-client';
import { translate } from './charge.js';

const upstream = process.argv[2] ?? 'http://127.0.0.1:8090';
const core = new midtrans.CoreApi({ isProduction: false, serverKey: 'SB-Mid-server-load', clientKey: '' });
core.apiConfig.getCoreApiBaseUrl = () => upstream;

const LOGINS = new Map([['testclient', { password: 'test123', contracts: new Set(['TESTCONTRACT']), secret: 'examplesharedsecret' }]]);
const payments = new Map();
const byReference = new Map();
const byNonce = new Map();
let nextId = BigInt(Date.now()) * 1000n;

function encode(pairs) {
  return Object.entries(pairs).map(([key, value]) => `${key}=${encodeURIComponent(value ?? '')}`).join('&');
}

function refused(errmsg) {
  return encode({ STATUS: 'FAILED', FAILREASON: 'INPUT_DATA', ERRMSG: errmsg });
}

async function transaction(form, client) {
  const seen = form.nonce && byNonce.get(form.nonce);
  if (seen) return seen;
  const id = String(nextId++);
  let charge;
  try {
    charge = translate(form, id);
  } catch (error) {
    return refused(error.message);
  }
  const secret = randomBytes(16).toString('hex');
  const payment = { id, secret, form, status: 'PENDING', created: Date.now() };
  payments.set(id, payment);
  byReference.set(form.merchanttxid, payment);
  const created = await core.charge(charge);
  payment.deeplink = created.actions.find((action) => action.name === 'deeplink-redirect').url;
  const code = createHmac('sha256', client.secret).update(id + secret).digest('hex');
  const answer = encode({
    STATUS: 'PENDING',
    TXID: id,
    REDIRECTURL: `https://pay.example/ti/gopay?tx=${id}&rs=${secret}&cs=${code}`,
    REDIRECTSECRET: secret,
  });
  if (form.nonce) byNonce.set(form.nonce, answer);
  return answer;
}

function status(payment) {
  if (!payment) return encode({ REQUESTSTATUS: 'FAILED', REQUESTFAILREASON: 'TX_NOT_FOUND' });
  return encode({ REQUESTSTATUS: 'SUCCEEDED', STATUS: payment.status, TXID: payment.id });
}

const app = fastify({ logger: false, bodyLimit: 262_144 });
app.register(formbody);
app.post('/', async (request, reply) => {
  const form = request.body;
  reply.type('application/x-www-form-urlencoded; charset=UTF-8');
  const client = LOGINS.get(form.login);
  if (!client || client.password !== form.password || !client.contracts.has(form.contractid)) {
    return refused('wrong credentials');
  }
  switch (form.txtype) {
    case 'TRANSACTION': return transaction(form, client);
    case 'GETTXSTATUS': return status(payments.get(form.txid));
    case 'GETTXSTATUSBYMERCHANTTXID': return status(byReference.get(form.merchanttxid));
    default: return refused('txtype');
  }
});

await app.listen({ host: '127.0.0.1', port: 0 });
console.log(`listening on 127.0.0.1:${app.server.address().port}`);

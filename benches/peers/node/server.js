// What a team would write: PPRO's Simple API on fastify, Midtrans' own client, state in memory.
// It checks what one checks at first, keeps payments in a Map, and makes nothing durable.
import { createHmac, randomBytes } from 'node:crypto';
import fastify from 'fastify';
import formbody from '@fastify/formbody';
import midtrans from 'midtrans-client';

const upstream = process.argv[2] ?? 'http://127.0.0.1:8090';
const core = new midtrans.CoreApi({ isProduction: false, serverKey: 'SB-Mid-server-load', clientKey: '' });
core.apiConfig.getCoreApiBaseUrl = () => upstream;

const LOGINS = new Map([['testclient', { password: 'test123', contracts: new Set(['TESTCONTRACT']), secret: 'examplesharedsecret' }]]);
const payments = new Map();
const byReference = new Map();
const byNonce = new Map();
let nextId = BigInt(Date.now()) * 1000n;

const EMAIL = /^[^\s@]+@[^\s@]+\.[^\s@]+$/;
const PHONE = /^[+0-9 ()-]{5,20}$/;

function encode(pairs) {
  return Object.entries(pairs).map(([key, value]) => `${key}=${encodeURIComponent(value ?? '')}`).join('&');
}

function refused(errmsg) {
  return encode({ STATUS: 'FAILED', FAILREASON: 'INPUT_DATA', ERRMSG: errmsg });
}

function sen(text) {
  if (!/^-?\d+(\.\d{1,2})?$/.test(text)) throw new Error('price');
  const [whole, part = ''] = text.split('.');
  return BigInt(whole) * 100n + BigInt(part.padEnd(2, '0')) * (whole.startsWith('-') ? -1n : 1n);
}

function address(form, kind) {
  const value = (name) => form[`specin.${kind}${name}`];
  return {
    first_name: value('addrfirstname'),
    last_name: value('addrlastname'),
    phone: value('phone'),
    address: value('addrline1'),
    city: value('addrcity'),
    postal_code: value('addrpostalcde'),
    country_code: value('cntrycde') === 'ID' ? 'IDN' : undefined,
  };
}

// The charge of a call, or an exception with what is wrong.
function translate(form, id) {
  for (const name of ['amount', 'accountholdername', 'merchantredirecturl']) {
    if (!form[name]) throw new Error(`${name} is missing`);
  }
  if (form.currency !== 'IDR' || form.countrycode !== 'ID' || form.tag !== 'gopay') throw new Error('currency');
  if (!/^\d+$/.test(form.amount) || Number(form.amount) % 100 !== 0) throw new Error('amount');
  const amount = Number(form.amount) / 100;
  if (amount < 1 || amount > 20_000_000) throw new Error('amount');
  new URL(form.merchantredirecturl);
  if (form['specin.email'] && !EMAIL.test(form['specin.email'])) throw new Error('specin.email');
  if (form['specin.phone'] && !PHONE.test(form['specin.phone'])) throw new Error('specin.phone');
  const items = JSON.parse(form['transientin.orderitems']);
  let sum = 0n;
  const details = items.map((item, at) => {
    const price = sen(item.price);
    if (price % 100n !== 0n || !Number.isInteger(item.quantity) || item.quantity < 1) throw new Error(`orderitems[${at}]`);
    sum += price * BigInt(item.quantity);
    return { id: String(at + 1), name: item.name.slice(0, 50), price: Number(price / 100n), quantity: item.quantity };
  });
  if (sum !== BigInt(form.amount)) throw new Error('orderitems: the sum is not the amount');
  return {
    payment_type: 'gopay',
    transaction_details: { order_id: id, gross_amount: amount },
    item_details: details,
    customer_details: {
      first_name: form.accountholdername,
      email: form['specin.email'],
      phone: form['specin.phone'],
      billing_address: address(form, 'billing'),
      shipping_address: address(form, 'shipping'),
    },
    gopay: { enable_callback: true, callback_url: form['specin.deeplinkcallbackurl'] ?? 'https://pay.example/return' },
    custom_expiry: { expiry_duration: 60, unit: 'minute' },
  };
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

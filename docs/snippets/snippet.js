// The PSP's side of the Simple API in Node: a call, the hash of the return and of notifications.
//
//   node snippet.js call ADAPTER                       opens a payment, prints its TXID
//   node snippet.js hash FIRST SECOND SECRET           the nested hash
//   node snippet.js return QUERY REDIRECTSECRET SHAREDSECRET
//   node snippet.js notification BODY NOTIFICATIONSECRET
"use strict";
const { createHash, timingSafeEqual } = require("node:crypto");

const sha256 = (text) => createHash("sha256").update(text).digest("hex");

// sha256( sha256( first + "." + second ) + "." + secret ), both digests in lower-case hex.
const nested = (first, second, secret) => sha256(`${sha256(`${first}.${second}`)}.${secret}`);

// In constant time; the lengths are no secret.
function same(left, right) {
  const [one, other] = [Buffer.from(left), Buffer.from(right)];
  return one.length === other.length && timingSafeEqual(one, other);
}

const pairs = (text) => Object.fromEntries(new URLSearchParams(text));

async function call(adapter) {
  const body = new URLSearchParams({
    returnmode: "urlencodeext", txtype: "TRANSACTION",
    login: "testclient", password: "test123", contractid: "TESTCONTRACT",
    channel: "testchannel", tag: "gopay", countrycode: "ID", currency: "IDR",
    amount: "1000000", // sen: the cart is 10,000 rupiah
    merchanttxid: `JS-${Date.now()}`, accountholdername: "Siti Rahma",
    merchantredirecturl: "https://shop.example/return",
    "transientin.orderitems": JSON.stringify([{ name: "table", price: "2000.00", quantity: 5 }]),
  });
  const signal = AbortSignal.timeout(40_000);
  const answer = await fetch(`${adapter}/`, { method: "POST", body, signal });
  const said = pairs(await answer.text());
  if (said.STATUS !== "PENDING") throw new Error(said.ERRMSG);
  // Store TXID and REDIRECTSECRET, then send the shopper to REDIRECTURL.
  return said.TXID;
}

function genuineReturn(query, redirectSecret, sharedSecret) {
  const { txid = "", cs = "" } = pairs(query);
  return same(cs, nested(txid, redirectSecret, sharedSecret));
}

// What to answer: a hash that is right is confirmed, then GETTXSTATUS is asked.
function notification(body, secret) {
  const { txid = "", finaltimestamp = "", sha256hash = "" } = pairs(body);
  const genuine = same(sha256hash, nested(txid, finaltimestamp, secret));
  return genuine ? "200 OK" : "403 wrong sha256hash";
}

const said = {
  call,
  hash: nested,
  return: (...rest) => (genuineReturn(...rest) ? "genuine" : "forged"),
  notification,
};
Promise.resolve(said[process.argv[2]](...process.argv.slice(3))).then(console.log);

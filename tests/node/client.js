'use strict'

// Drives a running simulator with Midtrans' own client and prints, as one JSON object, what the
// client returned or threw in each step. What it must be is for the Rust test to say.
//
// node client.js SIMULATOR_URL

const http = require('node:http')

const midtrans = require('midtrans-client')
const ApiConfig = require('midtrans-client/lib/apiConfig')

const simulator = process.argv[2]
ApiConfig.CORE_SANDBOX_BASE_URL = simulator

const client = (serverKey) =>
  new midtrans.CoreApi({ isProduction: false, serverKey, clientKey: '' })

const core = client('SB-Mid-server-demo')

/** What a call of the client came to. */
async function outcome (call) {
  try {
    return { returned: await call }
  } catch (error) {
    return {
      thrown: error.name,
      message: error.message,
      httpStatusCode: error.httpStatusCode,
      body: error.ApiResponse
    }
  }
}

const order = (id, changes = {}) => ({
  payment_type: 'gopay',
  transaction_details: { order_id: id, gross_amount: 10000 },
  item_details: [
    { id: 'a', name: 'table', price: 2000, quantity: 2 },
    { id: 'b', name: 'Laptop 2.0', price: 3000, quantity: 2 }
  ],
  customer_details: { first_name: 'Siti Rahma' },
  gopay: { enable_callback: true, callback_url: 'https://shop.example/return' },
  ...changes
})

/** A shopper's action in the wallet. */
async function wallet (id, action) {
  const answer = await fetch(`${simulator}/simulator/v1/transactions/${id}/${action}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{}'
  })
  if (!answer.ok) throw new Error(`${action}: ${answer.status} ${await answer.text()}`)
}

/** The merchant's address for notifications: keeps all, gives the first that fits. */
async function receiver () {
  const received = []
  const waiting = []
  const server = http.createServer((request, response) => {
    let body = ''
    request.on('data', (part) => { body += part })
    request.on('end', () => {
      const one = JSON.parse(body)
      received.push(one)
      for (const wait of waiting) wait(one)
      response.end('ok')
    })
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const first = (fits) => {
    const there = received.find(fits)
    return there
      ? Promise.resolve(there)
      : new Promise((resolve) => waiting.push((one) => fits(one) && resolve(one)))
  }
  return { url: `http://127.0.0.1:${server.address().port}/`, first, close: () => server.close() }
}

async function main () {
  const out = {}
  const step = async (name, call) => { out[name] = await outcome(call) }
  const { transaction } = core

  await step('charge', core.charge(order('N-1')))
  await step('chargeAsText', core.charge(JSON.stringify(order('N-2'))))
  await step('statusPending', transaction.status('N-1'))
  await step('statusByTransactionId',
    transaction.status(out.charge.returned && out.charge.returned.transaction_id))
  await step('duplicateOrder', core.charge(order('N-1')))
  await step('refundPending', transaction.refund('N-1', { refund_key: 'r', amount: 1000 }))

  await step('cancel', transaction.cancel('N-1'))
  await step('statusCancelled', transaction.status('N-1'))
  await step('cancelAgain', transaction.cancel('N-1'))
  await step('chargeAfterCancel', core.charge(order('N-1')))

  await step('expire', transaction.expire('N-2'))
  await step('statusExpired', transaction.status('N-2'))

  await step('wrongKey', client('SB-Mid-server-other').charge(order('N-3')))
  await step('wrongKeyStatus', client('SB-Mid-server-other').transaction.status('N-1'))
  for (const name of ['status', 'cancel', 'expire', 'refund', 'refundDirect']) {
    await step(`unknown_${name}`, transaction[name]('N-none'))
  }
  await step('sumDiffers', core.charge(order('N-4', {
    transaction_details: { order_id: 'N-4', gross_amount: 9999 }
  })))
  await step('noOrderId', core.charge(order('N-5', {
    transaction_details: { gross_amount: 10000 }
  })))
  await step('noPaymentType', core.charge(order('N-6', { payment_type: undefined })))
  await step('amountIsZero', core.charge(order('N-7', {
    transaction_details: { order_id: 'N-7', gross_amount: 0 }, item_details: undefined
  })))
  await step('statusOfRefused', transaction.status('N-4'))

  await core.charge(order('N-8'))
  await wallet('N-8', 'pay')
  await step('statusPaid', transaction.status('N-8'))
  await step('cancelPaid', transaction.cancel('N-8'))
  await step('approvePaid', transaction.approve('N-8'))
  await step('denyPaid', transaction.deny('N-8'))
  await step('refundTooMuch', transaction.refund('N-8', { refund_key: 'r-0', amount: 10001 }))
  await step('refundPart', transaction.refund('N-8', {
    refund_key: 'r-1', amount: 4000, reason: 'one table back'
  }))
  await step('refundSameKey', transaction.refund('N-8', { refund_key: 'r-1', amount: 4000 }))
  await step('refundDirectRest', transaction.refundDirect('N-8', {
    refund_key: 'r-2', amount: 6000, reason: 'the rest'
  }))
  await step('refundNothingLeft', transaction.refund('N-8', { refund_key: 'r-3', amount: 1 }))
  await step('statusRefunded', transaction.status('N-8'))

  const merchant = await receiver()
  core.httpClient.http_client.defaults.headers.common['X-Override-Notification'] = merchant.url
  await core.charge(order('N-9'))
  await wallet('N-9', 'pay')
  const paid = await merchant.first((one) => one.transaction_status === 'settlement')
  merchant.close()
  out.notificationBody = paid
  await step('notification', transaction.notification(paid))
  await step('notificationAsText', transaction.notification(JSON.stringify(paid)))
  await step('notificationForged', transaction.notification({ ...paid, transaction_id: 'forged' }))

  // The discard port: nobody answers there.
  ApiConfig.CORE_SANDBOX_BASE_URL = 'http://127.0.0.1:9'
  await step('unreachable', transaction.status('N-1'))

  console.log(JSON.stringify(out))
}

// A notification that never comes must not keep the test for ever.
setTimeout(() => {
  console.error('still waiting for a notification')
  process.exit(1)
}, 60000).unref()

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})

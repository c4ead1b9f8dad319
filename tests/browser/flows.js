// The ways of people through the pages, in a real browser. Called as: node flows.js GROUP with ADAPTER,
// SIMULATOR, ADMIN and CHROMIUM in the environment. Prints one line of JSON a flow.
const { chromium } = require('playwright-core')
const assert = require('node:assert/strict')
const http = require('node:http')

const { ADAPTER, SIMULATOR, ADMIN, CHROMIUM } = process.env
// A merchant of its own; the browser finds it at a server of this process.
const SHOP = 'http://shop.example'
const PHONE = {
  viewport: { width: 390, height: 844 },
  hasTouch: true,
  userAgent: 'Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/126.0 Mobile Safari/537.36'
}
const IPAD = {
  viewport: { width: 820, height: 1180 },
  userAgent: 'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15'
}
const INSTAGRAM = {
  viewport: { width: 390, height: 760 },
  userAgent: 'Mozilla/5.0 (Linux; Android 13; SM-A536B; wv) AppleWebKit/537.36 Version/4.0 Chrome/110.0 Mobile Safari/537.36 Instagram 270.0.0.13'
}
const DESK = { viewport: { width: 1280, height: 800 } }

/** A page that fails its flow when it runs a script, breaks its policy or asks another host. */
async function open (browser, options) {
  const context = await browser.newContext(options)
  context.setDefaultTimeout(30000)
  const page = await context.newPage()
  const wrong = []
  page.on('console', (one) => { if (one.type() === 'error' && !/status of 4\d\d/.test(one.text())) wrong.push(one.text()) })
  page.on('dialog', (one) => { wrong.push(`a dialog: ${one.message()}`); one.dismiss() })
  page.on('request', (one) => {
    const own = [ADAPTER, SIMULATOR, ADMIN, SHOP].some((base) => one.url().startsWith(base))
    const script = one.resourceType() === 'script' && one.url() !== `${ADMIN}/console.js`
    if (!own || script) wrong.push(`asks ${one.url()}`)
  })
  return { page, context, done: async () => { await context.close(); assert.deepEqual(wrong, []) } }
}

/** A TRANSACTION call; the decoded answer. */
async function transaction (changes = {}) {
  const body = new URLSearchParams({
    returnmode: 'urlencodeext', txtype: 'TRANSACTION', login: 'testclient', password: 'test123', contractid: 'TESTCONTRACT',
    tag: 'gopay', countrycode: 'ID', currency: 'IDR', amount: '12500000', channel: 'testchannel',
    accountholdername: 'Siti Rahma',
    'transientin.orderitems': JSON.stringify([{ name: 'Kopi', price: '125000.00', quantity: 1 }]),
    merchantredirecturl: `${SHOP}/return`, notificationurl: `${SIMULATOR}/psp/notify`, ...changes
  }).toString().replaceAll('+', '%20')
  const answer = await (await fetch(`${ADAPTER}/`, { method: 'POST', body })).text()
  const pairs = Object.fromEntries(answer.split('&').map((pair) => pair.split('=').map(decodeURIComponent)))
  assert.equal(pairs.STATUS, 'PENDING', answer)
  return pairs
}

async function control (method, path, body) {
  const answer = await fetch(`${SIMULATOR}/simulator/v1/${path}`, { method, body: body && JSON.stringify(body) })
  assert.ok(answer.ok, `${path}: ${answer.status}`)
  return answer.json()
}

const upstream = (id) => control('GET', `transactions/${id}`)
const act = (id, action, body = {}) => control('POST', `transactions/${id}/${action}`, body)

async function until (what, holds) {
  for (const end = Date.now() + 30000; Date.now() < end;) {
    if (await holds()) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  assert.fail(`still waiting for: ${what}`)
}

/** Buys in the shop; on a phone that leads into the wallet at once. */
async function buy (page) {
  await page.goto(`${SIMULATOR}/shop`)
  await page.getByRole('button', { name: 'Pay with GoPay' }).click()
}

async function pay (page, pin = '123456') {
  await page.getByLabel('PIN', { exact: true }).fill(pin)
  await page.getByRole('button', { name: 'Pay Rp' }).click()
}

const pill = (page) => page.locator('main .pill').first().innerText()

const paying = {
  async 'a shopper buys on the phone, pays, and the PSP is told' (browser) {
    const { page, done } = await open(browser, PHONE)
    await buy(page)
    await page.getByRole('heading', { name: 'Pay with GoPay' }).waitFor()
    await pay(page)
    await page.getByRole('heading', { name: 'Back in the shop' }).waitFor()
    assert.equal(await pill(page), 'SUCCEEDED')
    const txid = new URL(page.url()).searchParams.get('txid')
    await page.goto(`${SIMULATOR}/psp/notifications`)
    const told = page.locator('.card', { hasText: txid })
    assert.match(await told.innerText(), /genuine[^]*GETTXSTATUS: SUCCEEDED/)
    await done()
  },
  async 'without scripts all is the same' (browser) {
    const { page, done } = await open(browser, { ...PHONE, javaScriptEnabled: false })
    await buy(page)
    await pay(page)
    await page.waitForURL(/shop\/return/)
    assert.equal(await pill(page), 'SUCCEEDED')
    await done()
  },
  async 'a computer hands over to a phone and goes on once it is paid there' (browser) {
    const desk = await open(browser, DESK)
    const phone = await open(browser, PHONE)
    await buy(desk.page)
    await desk.page.getByRole('heading', { name: 'Pay with GoPay on your phone' }).waitFor()
    await desk.page.getByRole('img', { name: 'QR code' }).waitFor()
    await phone.page.goto(await desk.page.locator('code').innerText())
    await pay(phone.page)
    await phone.page.waitForURL(/shop\/return/)
    // By itself, well before anybody would give up.
    await desk.page.waitForURL(/shop\/return/, { timeout: 45000 })
    assert.equal(await pill(desk.page), 'SUCCEEDED')
    await phone.done()
    await desk.done()
  },
  async 'a wrong PIN, an empty wallet and a decline leave the payment open' (browser) {
    const { page, done } = await open(browser, PHONE)
    await buy(page)
    await pay(page, '000000')
    assert.match(await page.getByRole('alert').innerText(), /PIN is wrong/)
    await page.getByText('GoPay, no balance').click()
    await pay(page)
    assert.match(await page.getByRole('alert').innerText(), /balance is too low/)
    await page.getByRole('button', { name: 'Decline' }).click()
    await page.getByRole('heading', { name: 'Back in the shop' }).waitFor()
    assert.equal(await pill(page), 'PENDING')
    await page.getByRole('link', { name: 'Pay', exact: true }).click()
    await pay(page)
    await page.waitForURL(/shop\/return/)
    assert.equal(await pill(page), 'SUCCEEDED')
    await done()
  },
  async 'an abort in the sandbox form ends the payment' (browser) {
    const { page, done } = await open(browser, PHONE)
    await buy(page)
    // As a PSP's own browser test does.
    await page.selectOption('select[name=result]', 'failed_user_abort')
    await page.click('#submitbutton')
    await page.waitForURL(/shop\/return/)
    assert.equal(await pill(page), 'FAILED')
    await done()
  },
  async 'a double tap pays once, and back and reload show what happened' (browser) {
    const { page, done } = await open(browser, PHONE)
    const answer = await transaction()
    await page.goto(answer.REDIRECTURL)
    const wallet = page.url()
    await page.getByLabel('PIN', { exact: true }).fill('123456')
    await page.getByRole('button', { name: 'Pay Rp' }).dblclick()
    // The second tap may cut off the way of the first.
    const there = () => page.waitForURL(`${SHOP}/**`)
    await there().catch((error) => {
      if (!/ERR_ABORTED/.test(error.message)) throw error
      return there()
    })
    await page.waitForLoadState('networkidle')
    await page.goBack()
    await page.goto(wallet)
    await page.reload()
    assert.match(await page.locator('main').innerText(), /settlement Paid/)
    await page.goto(answer.REDIRECTURL)
    assert.match(page.url(), /^http:\/\/shop\.example\/return\?txid=\d+&cs=[0-9a-f]{64}$/)
    const totals = await upstream(answer.TXID)
    assert.deepEqual([totals.status, totals.refunded], ['settlement', 0])
    await done()
  },
  async 'an iPad finds the app, the code and the way back' (browser) {
    const { page, done } = await open(browser, IPAD)
    const answer = await transaction()
    await page.goto(answer.REDIRECTURL)
    await page.getByRole('img', { name: 'QR code' }).waitFor()
    await page.getByRole('link', { name: 'go on to the simulator' }).click()
    await page.getByRole('heading', { name: 'Pay with GoPay' }).waitFor()
    await page.goBack()
    await page.getByRole('link', { name: 'Back to the shop' }).click()
    assert.match(page.url(), /^http:\/\/shop\.example\/return/)
    await done()
  },
  async 'the browser inside another app gets a button, in the language of its owner' (browser) {
    const { page, done } = await open(browser, { ...INSTAGRAM, locale: 'id-ID' })
    const answer = await transaction()
    await page.goto(answer.REDIRECTURL)
    assert.equal(await page.locator('html').getAttribute('lang'), 'id')
    const out = await page.getByRole('link', { name: 'Buka di browser ponsel' }).getAttribute('href')
    assert.match(out, /^intent:\/\/127\.0\.0\.1.*#Intent;scheme=http;.*end$/)
    await page.getByRole('link', { name: 'Buka aplikasi GoPay' }).click()
    await pay(page)
    await page.waitForURL(`${SHOP}/**`)
    await done()
  },
  async 'HTML in a name is text' (browser) {
    const { page, done } = await open(browser, PHONE)
    const name = '<img src=x onerror=alert(1)>"\'&<b>'
    await page.goto(`${SIMULATOR}/shop`)
    await page.getByLabel('Your name').fill(name)
    await page.getByRole('button', { name: 'Pay with GoPay' }).click()
    await pay(page)
    await page.waitForURL(/shop\/return/)
    assert.ok((await page.locator('main').innerText()).includes(name))
    assert.equal(await page.locator('main img, main b').count(), 0)
    await done()
  },
  async 'the keyboard is enough' (browser) {
    const { page, done } = await open(browser, PHONE)
    await page.goto(`${SIMULATOR}/shop`)
    const tabTo = async (name) => {
      for (let step = 0; step < 30; step++) {
        await page.keyboard.press('Tab')
        const at = await page.evaluate(() => {
          const here = document.activeElement
          const outlined = getComputedStyle(here).outlineStyle !== 'none'
          return { name: here.id || here.value || here.innerText, outlined }
        })
        if (at.name.startsWith(name)) {
          assert.ok(at.outlined, `${name} shows that it has the focus`)
          return
        }
      }
      assert.fail(`${name} cannot be reached`)
    }
    await tabTo('Pay with GoPay')
    await page.keyboard.press('Enter')
    await page.waitForURL(/gopay\/ui\/checkout/)
    await tabTo('pin')
    await page.keyboard.type('123456')
    await tabTo('pay')
    await page.keyboard.press('Enter')
    await page.waitForURL(/shop\/return/)
    assert.equal(await pill(page), 'SUCCEEDED')
    await tabTo('amount')
    await page.keyboard.type('4000')
    await page.keyboard.press('Enter')
    await page.getByText('given back').first().waitFor()
    await done()
  },
  async 'the shop gives back in parts and shows each message' (browser) {
    const { page, done } = await open(browser, DESK)
    await buy(page)
    await page.getByRole('link', { name: 'go on to the simulator' }).click()
    await pay(page)
    await page.waitForURL(/shop\/return/)
    for (const part of ['34000', '100000']) {
      await page.getByLabel('Give back, in rupiah').fill(part)
      await page.getByRole('button', { name: 'Refund' }).click()
      await page.waitForURL(/shop\/orders\/\d+$/)
    }
    assert.match(await page.locator('main').innerText(), /Rp.134\.000 given back/)
    assert.equal(await page.getByRole('button', { name: 'Refund' }).count(), 0, 'nothing is left')
    const titles = await page.locator('summary').allInnerTexts()
    for (const title of ['TRANSACTION', 'The shopper leaves', 'Notification', 'The shopper returns', 'GETTXSTATUS', 'REFUND']) {
      assert.ok(titles.some((one) => one.includes(title)), `${title} among ${titles}`)
    }
    await page.locator('summary', { hasText: 'Notification' }).first().click()
    assert.match(await page.locator('details[open]').last().innerText(), /sha256hash = sha256\(/)
    await done()
  },
  async 'links that lead nowhere say so' (browser) {
    const { page, done } = await open(browser, PHONE)
    for (const [path, says] of [
      ['/', 'nothing to see here'], ['/nowhere', 'no such page'], ['/ti/gopay?tx=1&rs=2&cs=3', 'link is not valid']
    ]) {
      await page.goto(ADAPTER + path)
      await page.getByRole('heading', { name: says }).waitFor()
    }
    await done()
  }
}

const simulator = {
  async 'the start page shows what comes, and pays by a click' (browser) {
    const { page, done } = await open(browser, DESK)
    await page.goto(`${SIMULATOR}/simulator`)
    const { TXID } = await transaction()
    // Without a click: the page looks again by itself.
    const card = page.locator('.card', { hasText: TXID })
    await card.waitFor()
    await card.getByRole('button', { name: 'Pay' }).click()
    await until('paid', async () => (await upstream(TXID)).status === 'settlement')
    await page.locator('.card', { hasText: TXID }).getByText('settlement').waitFor()
    await done()
  },
  async 'everything about a transaction is a click away' (browser) {
    const { page, done } = await open(browser, DESK)
    const { TXID } = await transaction()
    await page.goto(`${SIMULATOR}/simulator/transactions/${TXID}`)
    await page.getByAltText('QR code').waitFor()
    assert.ok(await page.getByAltText('QR code').evaluate((image) => image.naturalWidth > 100))
    await page.getByRole('button', { name: 'Expire' }).click()
    await page.getByRole('button', { name: 'Money comes late' }).click()
    await page.getByLabel('Refund at Midtrans').fill('25000')
    await page.getByRole('button', { name: 'Refund' }).click()
    await page.getByText('partial_refund').first().waitFor()
    await page.getByLabel('Refund at Midtrans').fill('1000000')
    await page.getByRole('button', { name: 'Refund' }).click()
    assert.match(await page.getByRole('alert').innerText(), /100000 rupiah that are left/)
    await page.goto(`${SIMULATOR}/simulator/transactions/${TXID}`)
    const before = (await upstream(TXID)).notifications.attempts
    await page.getByRole('button', { name: 'Send a forged one' }).click()
    await until('refused', async () => (await upstream(TXID)).notifications.failed > 0)
    await page.getByRole('button', { name: 'Repeat the last' }).click()
    await until('repeated', async () => (await upstream(TXID)).notifications.attempts >= before + 2)
    await page.reload()
    await page.getByText('HTTP 403').first().waitFor()
    await done()
  },
  async 'a fault is scripted by a click and does what it says' (browser) {
    const { page, done } = await open(browser, PHONE)
    await page.goto(`${SIMULATOR}/simulator/faults`)
    await page.getByLabel('What goes wrong').selectOption({ label: 'Charge: made, but the answer is lost' })
    await page.getByRole('button', { name: 'Script it' }).click()
    await page.locator('.card', { hasText: 'Scripted' }).getByText('"lost_after"').waitFor()
    // The adapter asks again and finds the charge.
    const { TXID } = await transaction()
    assert.equal((await upstream(TXID)).status, 'pending')
    const { faults } = await control('GET', 'faults')
    assert.equal(faults.reduce((sum, fault) => sum + fault.fired, 0), 1)
    await page.getByRole('button', { name: 'Remove all' }).click()
    await page.getByText('None.').waitFor()
    await done()
  },
  async 'a page of another site does nothing' (browser) {
    const { TXID } = await transaction()
    const forms = ['simulator/transactions/' + TXID + '/pay', 'simulator/v1/transactions/' + TXID + '/pay', 'shop/buy']
    const evil = http.createServer((request, response) => {
      const target = forms[Number(request.url.slice(1))]
      response.setHeader('content-type', 'text/html')
      response.end(`<form method=post enctype=text/plain action="${SIMULATOR}/${target}"><button>go</button></form>`)
    })
    await new Promise((resolve) => evil.listen(0, '127.0.0.1', resolve))
    const context = await browser.newContext(DESK)
    const page = await context.newPage()
    for (const place of forms.keys()) {
      await page.goto(`http://127.0.0.1:${evil.address().port}/${place}`)
      const [answer] = await Promise.all([page.waitForResponse((one) => one.url().startsWith(SIMULATOR)), page.click('button')])
      assert.equal(answer.status(), 403, forms[place])
    }
    assert.equal((await upstream(TXID)).status, 'pending')
    await context.close()
    evil.close()
  },
  // Last: the clock goes forward only.
  async 'an hour later the session is over' (browser) {
    const { page, done } = await open(browser, PHONE)
    await buy(page)
    await page.waitForURL(/checkout/)
    const wallet = page.url()
    const answer = await transaction()
    await page.goto(`${SIMULATOR}/simulator/clock`)
    await page.getByRole('button', { name: 'Forward by 1 hour' }).click()
    await page.getByText('Ahead of this machine by 60 minutes').waitFor()
    await page.goto(wallet)
    assert.match(await page.locator('main').innerText(), /time to pay is over/)
    await page.goto(answer.REDIRECTURL)
    assert.match(page.url(), /^http:\/\/shop\.example\/return/)
    await page.goto(`${SIMULATOR}/shop`)
    await page.locator('main p a').first().click()
    // The shop's own page looks again until it is over.
    await page.getByText('FAILED').first().waitFor()
    await done()
  }
}

/** Every page, by how it is reached. */
async function everyPage () {
  const [open, paid, ended] = [await transaction(), await transaction(), await transaction()]
  await act(paid.TXID, 'pay')
  await act(paid.TXID, 'refund', { amount: 25000 })
  await act(ended.TXID, 'expire')
  await until('told', async () => (await upstream(ended.TXID)).notifications.delivered > 1)
  await control('POST', 'faults', { on: 'charge', action: 'lost_after', order_id: 'none' })
  const bought = await fetch(`${SIMULATOR}/shop/buy`, { method: 'POST', redirect: 'manual' })
  const order = new URL(bought.headers.get('location')).searchParams.get('tx')
  await act(order, 'pay')
  await until('told', async () => /SUCCEEDED/.test(await (await fetch(`${SIMULATOR}/shop/orders/${order}`)).text()))
  const wallet = (await upstream(open.TXID)).checkout_url
  // Where the GoPay app returns to, of shops that are apps: a computer is told what is known.
  const known = async (action) => {
    const { TXID } = await transaction({ merchantredirecturl: 'shopapp://paid' })
    if (action) await act(TXID, action)
    return new URL((await upstream(TXID)).checkout_url).searchParams.get('callback_url')
  }
  return [
    ['computer', open.REDIRECTURL, DESK], ['in another app', open.REDIRECTURL, INSTAGRAM],
    ['in Indonesian', open.REDIRECTURL, { ...DESK, locale: 'id-ID' }],
    ['paid', await known('pay'), DESK], ['not known yet', await known(), DESK],
    ['declined', await known('deny'), { ...DESK, locale: 'id-ID' }],
    ['bad link', `${ADAPTER}/ti/gopay?tx=1`, PHONE], ['root', `${ADAPTER}/`, PHONE], ['astray', `${ADAPTER}/x`, PHONE],
    ['operators astray', `${ADMIN}/console/x`, DESK],
    ['wallet', wallet, PHONE], ['wallet, over', (await upstream(ended.TXID)).checkout_url, PHONE],
    ['wallet, unknown', `${SIMULATOR}/gopay/ui/checkout`, PHONE],
    ['transactions', `${SIMULATOR}/simulator?live=off`, DESK],
    ['pending', `${SIMULATOR}/simulator/transactions/${open.TXID}`, DESK],
    ['refunded', `${SIMULATOR}/simulator/transactions/${paid.TXID}`, PHONE],
    ['sent', `${SIMULATOR}/simulator/notifications?live=off`, DESK],
    ['faults', `${SIMULATOR}/simulator/faults`, DESK], ['clock', `${SIMULATOR}/simulator/clock`, PHONE],
    ['shop', `${SIMULATOR}/shop`, PHONE], ['order', `${SIMULATOR}/shop/orders/${order}`, DESK],
    ['no order', `${SIMULATOR}/shop/orders/1`, PHONE], ['notifications', `${SIMULATOR}/psp/notifications`, PHONE],
    ...['', '/transactions?state=succeeded', `/transactions/${paid.TXID}`, `/transactions/${open.TXID}`, '/transactions?id=none',
      '/refunds', '/deliveries', '/attention', '/parties', '/settlements', '/adjustments', '/reconciliation', '/audit', '/breaks/none']
      .map((place) => [`console${place}`, `${ADMIN}/console${place}`, DESK])
  ]
}

/** That axe-core finds nothing serious in a page in light and in dark, and that it fits every screen. */
async function sound (page, name) {
  const { source } = require('axe-core')
  await page.locator('details').evaluateAll((all) => { for (const one of all) one.open = true })
  await page.evaluate(source)
  const look = async (scheme, rules) => {
    const { violations, passes } = await page.evaluate((rules) => globalThis.axe.run(rules), rules)
    assert.ok(passes.length > 0, `${name}: axe has run`)
    const serious = violations.filter((one) => ['serious', 'critical'].includes(one.impact))
    const told = serious.map((one) => `${one.id}: ${one.nodes.map((node) => node.html).join(' ')}`)
    assert.deepEqual(told, [], `${name}, ${scheme}`)
  }
  await look('light', {})
  // The rest is the same in any colours.
  await page.emulateMedia({ colorScheme: 'dark' })
  await look('dark', { runOnly: ['color-contrast'] })
  for (const width of [1280, 390, 320]) {
    await page.setViewportSize({ width, height: 800 })
    const wide = await page.evaluate(() => document.documentElement.scrollWidth)
    assert.ok(wide <= width, `${name} is ${wide} wide on a screen of ${width}`)
  }
}

/** An operator who has logged in, with a browser. */
async function operator (browser, name, options = DESK) {
  const opened = await open(browser, options)
  await opened.page.goto(`${ADMIN}/console`)
  await opened.page.getByLabel('Name').fill(name)
  await opened.page.getByLabel('Token').fill(`token-of-${name}`)
  await opened.page.getByRole('button', { name: 'Log in' }).click()
  await opened.page.getByRole('heading', { name: 'Overview' }).waitFor()
  return opened
}

/** A transaction that is paid, or came to another end, and of which the adapter knows that. */
async function ended (action = 'pay', changes = {}, state = 'SUCCEEDED') {
  const { TXID } = await transaction(changes)
  await act(TXID, action)
  const body = new URLSearchParams({ returnmode: 'urlencodeext', txtype: 'GETTXSTATUS', login: 'testclient', password: 'test123', contractid: 'TESTCONTRACT', txid: TXID }).toString()
  await until(state, async () => (await (await fetch(`${ADAPTER}/`, { method: 'POST', body })).text()).includes(`STATUS=${state}&`))
  return TXID
}

const content = (page) => page.locator('main').innerText()

/** Opens a form, gives the reason and sends it. */
async function submit (page, title, reason = 'A broken cup') {
  const form = page.locator('details', { has: page.locator('summary', { hasText: title }) })
  await form.locator('summary').click()
  await form.getByLabel('Reason').fill(reason)
  await form.getByRole('button').click()
}

const consoles = {
  async 'a wrong token is told, the right one leads to the page that was asked for, and out again' (browser) {
    const { page, done } = await open(browser, PHONE)
    await page.goto(`${ADMIN}/console/audit`)
    await page.getByRole('heading', { name: 'Operator console' }).waitFor()
    await page.getByLabel('Name').fill('reader')
    await page.getByLabel('Token').fill('wrong')
    await page.keyboard.press('Enter')
    assert.match(await page.getByRole('alert').innerText(), /No operator/)
    await page.getByLabel('Token').fill('token-of-reader')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'Audit' }).waitFor()
    const [cookie] = await page.context().cookies(`${ADMIN}/console`)
    assert.deepEqual([cookie.httpOnly, cookie.sameSite], [true, 'Strict'])
    assert.equal(await page.evaluate(() => document.cookie), '')
    await page.getByRole('button', { name: 'Log out' }).click()
    await page.goto(`${ADMIN}/console/audit`)
    await page.getByRole('heading', { name: 'Operator console' }).waitFor()
    await done()
  },
  async 'the figures move by themselves, and stand still without scripts' (browser) {
    const { page, done } = await operator(browser, 'reader')
    const paid = () => page.locator('.tile', { hasText: 'Paid' }).first().innerText()
    const before = await paid()
    await ended()
    await until('the page has looked again', async () => await paid() !== before)
    await page.getByRole('img', { name: /Payments that ended in the last hour/ }).waitFor()
    await done()
    const still = await operator(browser, 'reader', { ...DESK, javaScriptEnabled: false })
    assert.match(await content(still.page), /Success rate[^]*Our time[^]*Money at risk[^]*Waiting/)
    await still.done()
  },
  async 'any id finds its transaction, and the timeline tells its story' (browser) {
    const { page, done } = await operator(browser, 'reader')
    const reference = 'FIND-ME'
    const { TXID } = await transaction({ merchanttxid: reference, 'specin.email': 'siti@example.org' })
    const find = async (text) => {
      await page.getByLabel('Any id of a transaction').fill(text)
      await page.keyboard.press('Enter')
    }
    for (const id of [TXID, reference, reference.toLowerCase()]) {
      await page.goto(`${ADMIN}/console`)
      await find(id)
      await page.waitForURL(`${ADMIN}/console/transactions/${TXID}`)
    }
    assert.match(await content(page), /The call was accepted[^]*Charge sent to Midtrans[^]*State: initialized to pending/)
    await page.getByText('The call', { exact: true }).click()
    assert.match(await content(page), /specin\.email\s+\(16 characters\)/)
    const upstreamId = (await upstream(TXID)).transaction_id
    await find(upstreamId)
    await page.getByRole('link', { name: "look for it as Midtrans' id" }).click()
    await page.getByRole('link', { name: TXID }).click()
    await find('NO-SUCH-ORDER')
    await page.waitForURL(/id=NO-SUCH-ORDER/)
    assert.match(await content(page), /No TXID, REFUNDID/)
    await done()
  },
  async 'a list is filtered, paged, sorted and downloaded' (browser) {
    const { page, done } = await operator(browser, 'reader')
    const amount = '13500000'
    const txids = []
    for (let number = 0; number < 3; number++) txids.unshift((await transaction({ amount, merchanttxid: `LIST-${number}`, 'transientin.orderitems': JSON.stringify([{ name: 'Kopi', price: '135000.00', quantity: 1 }]) })).TXID)
    await page.goto(`${ADMIN}/console/transactions?limit=2`)
    await page.getByText('Filter and order').click()
    await page.getByLabel('Amount, rupiah').fill('135.000')
    await page.getByLabel('State').selectOption('pending')
    await page.getByRole('button', { name: 'Show' }).click()
    const shown = () => page.locator('tbody code').allInnerTexts()
    assert.deepEqual((await shown()).filter((one) => /^\d+$/.test(one)), txids)
    await page.goto(`${page.url()}&limit=2`)
    await page.getByRole('link', { name: 'Next page' }).click()
    assert.ok((await shown()).includes('LIST-0'))
    await page.getByRole('link', { name: 'First page' }).click()
    const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Download as CSV' }).click()])
    const text = require('node:fs').readFileSync(await file.path(), 'utf8')
    assert.equal(text.trim().split('\r\n').length, 4, text)
    await page.getByLabel('Amount, rupiah').fill('1,5')
    await page.getByRole('button', { name: 'Show' }).click()
    assert.match(await page.getByRole('alert').innerText(), /amount: must be whole rupiah/)
    await done()
  },
  async 'finance gives back a part, and a form that is sent twice gives back once' (browser) {
    const txid = await ended()
    const { page, done } = await operator(browser, 'ana')
    await page.goto(`${ADMIN}/console/transactions/${txid}`)
    const form = page.locator('details', { has: page.locator('summary', { hasText: 'Refund:' }) })
    await form.locator('summary').click()
    assert.match(await form.innerText(), /Rp.125\.000 left[^]*Until 20/)
    await form.getByLabel('Amount, rupiah').fill('25.000')
    await form.getByLabel('Reason').fill('A broken cup')
    await form.getByRole('button', { name: 'Refund' }).click()
    await page.getByRole('status').waitFor()
    assert.match(await content(page), /Refund: Rp.100\.000 left[^]*by ana[^]*A broken cup/)
    // One form, sent twice at once.
    await form.locator('summary').click()
    await form.getByLabel('Amount, rupiah').fill('10.000')
    await form.getByLabel('Reason').fill('Another cup')
    await form.locator('form').evaluate(async (form) => {
      const body = new URLSearchParams(new FormData(form))
      await Promise.all([0, 1].map(() => fetch(form.action, { method: 'POST', body })))
    })
    await page.reload()
    assert.match(await content(page), /Refund: Rp.90\.000 left/)
    assert.equal((await upstream(txid)).refunded, 35000)
    await form.locator('summary').click()
    await form.getByLabel('Amount, rupiah').fill('90.001')
    await form.getByLabel('Reason').fill('Too much')
    await form.getByRole('button', { name: 'Refund' }).click()
    assert.match(await page.getByRole('alert').innerText(), /more than is left/)
    // It is there again as it was typed, and the field that is wrong is the one to type into.
    assert.equal(await form.getByLabel('Amount, rupiah').inputValue(), '90.001')
    assert.equal(await form.getByLabel('Reason').inputValue(), 'Too much')
    assert.equal(await page.evaluate(() => document.activeElement.name), 'amount')
    await page.keyboard.press('Control+a')
    await page.keyboard.type('1.000')
    await page.keyboard.press('Enter')
    await page.getByRole('status').waitFor()
    assert.match(await content(page), /Refund: Rp.89\.000 left/)
    await done()
  },
  async 'operators cancel, ask and send again' (browser) {
    const { page, done } = await operator(browser, 'ops')
    const { TXID } = await transaction()
    await page.goto(`${ADMIN}/console/transactions/${TXID}`)
    await submit(page, 'Ask GoPay now', 'The shop asks')
    assert.match(await page.getByRole('status').innerText(), /GoPay was asked/)
    assert.match(await content(page), /An operator: ask, by ops/)
    await submit(page, 'Cancel', 'The shop gave up')
    await page.getByRole('heading', { name: /failed/ }).waitFor()
    assert.match(await content(page), /CANCELED/)
    // The receiver knows no such path: once by itself, once more by hand.
    const tries = async () => {
      await page.goto(`${ADMIN}/console/transactions/${TXID}`)
      return page.locator('.what', { hasText: 'Notification to the PSP' }).count()
    }
    await until('the first try', async () => await tries() === 1)
    await submit(page, 'Send the notification again', 'The receiver is mended')
    await until('another try', async () => await tries() === 2)
    await page.goto(`${ADMIN}/console/parties`)
    assert.match(await content(page), /404, not confirmed/)
    assert.equal(await page.getByText('examplenotificationsecret').count(), 0)
    await done()
  },
  async 'what needs a person is decided with a reason' (browser) {
    const { TXID } = await transaction({ merchanttxid: 'DOUBT' })
    await control('POST', 'faults', { on: 'status', action: 'wrong_amount', order_id: TXID, times: null })
    await act(TXID, 'pay')
    const { page, done } = await operator(browser, 'ana', PHONE)
    const card = page.locator('section.card', { hasText: TXID })
    await until('it is listed', async () => {
      await page.goto(`${ADMIN}/console/attention`)
      return await card.count() > 0
    })
    assert.match(await card.innerText(), /125000\.00[^]*125001\.00/)
    await card.getByText('Decide', { exact: true }).click()
    await card.getByText('Paid', { exact: true }).click()
    await card.getByLabel('Reason').fill('The shop has confirmed it')
    await card.getByRole('button', { name: 'Store the decision' }).click()
    await page.getByRole('status').waitFor()
    assert.equal(await card.count(), 0)
    await page.goto(`${ADMIN}/console/transactions/${TXID}`)
    assert.match(await content(page), /A person has decided[^]*The shop has confirmed it/)
    await done()
  },
  async 'two people decide about a break' (browser) {
    const ana = await operator(browser, 'ana')
    const budi = await operator(browser, 'budi')
    await ana.page.goto(`${ADMIN}/console/reconciliation`)
    await ana.page.getByRole('link', { name: /^B/ }).click()
    const address = ana.page.url()
    await ana.page.getByText('accept', { exact: true }).click()
    await ana.page.getByLabel('Reason').fill('A test order')
    await ana.page.getByRole('button', { name: 'Store the decision' }).click()
    await ana.page.getByRole('status').waitFor()
    await ana.page.getByRole('button', { name: 'Approve: accept' }).click()
    assert.match(await ana.page.getByRole('alert').innerText(), /another person/)
    await budi.page.goto(address)
    assert.match(await content(budi.page), /waits for approval[^]*ana has decided/)
    await budi.page.getByRole('button', { name: 'Approve: accept' }).click()
    await budi.page.getByRole('status').waitFor()
    assert.match(await content(budi.page), /accept\s+approved[^]*Approved by budi/)
    await ana.done()
    await budi.done()
  },
  async 'two people correct a settlement' (browser) {
    const ana = await operator(browser, 'ana', PHONE)
    const budi = await operator(browser, 'budi')
    await ana.page.goto(`${ADMIN}/console/adjustments`)
    await ana.page.getByText('Ask for a correction').click()
    await ana.page.getByLabel('Id, used once').fill('C-2')
    await ana.page.getByLabel('Amount in the settlement currency').fill('-3.25')
    await ana.page.getByLabel('Reason').fill('A fee too little')
    await ana.page.getByRole('button', { name: 'Ask for it' }).click()
    await ana.page.getByRole('status').waitFor()
    const card = (page) => page.locator('section.card', { hasText: 'C-2' })
    await card(ana.page).getByRole('button', { name: 'Approve' }).click()
    assert.match(await ana.page.getByRole('alert').innerText(), /cannot approve what they ask for/)
    await budi.page.goto(`${ADMIN}/console/adjustments?state=asked`)
    assert.match(await card(budi.page).innerText(), /waits for approval[^]*USD.-3\.25[^]*A fee too little/)
    await card(budi.page).getByRole('button', { name: 'Approve USD' }).click()
    await budi.page.getByRole('status').waitFor()
    assert.match(await card(budi.page).innerText(), /approved[^]*the next settlement/)
    await ana.done()
    await budi.done()
  },
  async 'what finance reads is filled, and has no serious fault' (browser) {
    const { page, done } = await operator(browser, 'ana')
    await page.goto(`${ADMIN}/console/settlements`)
    await page.getByRole('link', { name: '1-999' }).click()
    assert.match(await content(page), /USD.12\.50 on 20[^]*Adjustment TESTCONTRACT\s+1\s+USD.12\.50[^]*Transfer/)
    assert.match(await content(page), /Correction C-1[^]*asked for by ana, approved by budi/)
    for (const [place, says] of [
      ['settlements', /Last period/], ['settlements/1-999', /Statement of|Events/], ['adjustments', /settled[^]*D 20/],
      ['reconciliation', /Run 1[^]*ties[^]*Opening[^]*Closing/]
    ]) {
      await page.goto(`${ADMIN}/console/${place}`)
      assert.match(await content(page), says, place)
      await sound(page, place)
    }
    await page.setViewportSize(DESK.viewport)
    await page.goto(`${ADMIN}/console/reconciliation?which=all`)
    await page.getByRole('link', { name: /^B/ }).first().click()
    assert.match(await content(page), /Rp.9\.800/)
    await sound(page, 'a break')
    await done()
  },
  async 'who may only read is offered nothing else' (browser) {
    const txid = await ended()
    const { page, done } = await operator(browser, 'reader')
    await page.goto(`${ADMIN}/console/transactions/${txid}`)
    for (const [text, name] of [['needs the role operate', 'operate'], ['needs the role finance', 'finance']]) {
      assert.ok((await page.locator('main').textContent()).includes(text), name)
    }
    assert.equal(await page.locator('main form[method=post]').count(), 0)
    await done()
  },
  async 'a form of another site does nothing' (browser) {
    const { TXID } = await transaction()
    const { page, context } = await operator(browser, 'ops')
    const evil = http.createServer((request, response) => {
      response.setHeader('content-type', 'text/html')
      response.end(`<form method=post action="${ADMIN}/console/transactions/${TXID}/cancel"><input name=reason value=x><button>go</button></form>`)
    })
    await new Promise((resolve) => evil.listen(0, '127.0.0.1', resolve))
    await page.goto(`http://127.0.0.1:${evil.address().port}/`)
    const [answer] = await Promise.all([page.waitForResponse((one) => one.url().startsWith(ADMIN)), page.click('button')])
    assert.equal(answer.status(), 403)
    assert.equal((await upstream(TXID)).status, 'pending')
    await context.close()
    evil.close()
  },
  async 'HTML in a name is text there too' (browser) {
    const reason = '<img src=x onerror=alert(1)>"\'&<b>'
    const txid = await ended()
    const { page, done } = await operator(browser, 'ops')
    await page.goto(`${ADMIN}/console/transactions/${txid}`)
    await submit(page, 'Ask GoPay now', reason)
    await page.getByRole('status').waitFor()
    assert.ok((await content(page)).includes(reason))
    await page.goto(`${ADMIN}/console/audit`)
    assert.ok((await content(page)).includes(reason))
    assert.equal(await page.locator('main img, td b').count(), 0)
    await done()
  },
  async 'the keyboard is enough there too' (browser) {
    const txid = await ended()
    const { page, done } = await open(browser, DESK)
    const tabTo = async (name) => {
      for (let step = 0; step < 60; step++) {
        await page.keyboard.press('Tab')
        const at = await page.evaluate(() => {
          const here = document.activeElement
          return { name: here.id || here.innerText || here.value || '', outlined: getComputedStyle(here).outlineStyle !== 'none' }
        })
        if (at.name.startsWith(name)) {
          assert.ok(at.outlined, `${name} shows that it has the focus`)
          return
        }
      }
      assert.fail(`${name} cannot be reached`)
    }
    await page.goto(`${ADMIN}/console/login`)
    await until('the name has the focus', () => page.evaluate(() => document.activeElement.id === 'name'))
    await page.keyboard.type('ana')
    assert.equal(await page.locator('#name').inputValue(), 'ana')
    await tabTo('token')
    await page.keyboard.type('token-of-ana')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'Overview' }).waitFor()
    await tabTo('id')
    await page.keyboard.type(txid)
    await page.keyboard.press('Enter')
    await page.waitForURL(`${ADMIN}/console/transactions/${txid}`)
    await tabTo('Refund:')
    await page.keyboard.press('Enter')
    await tabTo('refund-reason')
    await page.keyboard.type('By keyboard')
    await page.keyboard.press('Enter')
    await page.getByRole('status').waitFor()
    assert.match(await content(page), /Refund: Rp.0 left[^]*By keyboard/)
    await done()
  }
}

/** No page has a fault that axe-core calls serious, in light and in dark, or is wider than a small phone. */
const accessible = {
  async 'no page has a serious fault' (browser) {
    for (const [name, url, options] of await everyPage()) {
      const { page, done } = await open(browser, { ...options, colorScheme: 'light' })
      await page.goto(url)
      await sound(page, name)
      await done()
    }
  }
}

/** How many flows of a group go side by side; those of the simulator change what all see. */
const groups = { paying: [paying, 3], simulator: [simulator, 1], accessible: [accessible, 1], console: [consoles, 3] }

async function main () {
  const shop = http.createServer((request, response) => response.end('the shop'))
  await new Promise((resolve) => shop.listen(0, '127.0.0.1', resolve))
  const found = `--host-resolver-rules=MAP shop.example:80 127.0.0.1:${shop.address().port}`
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-gpu', found] })
  const [flows, abreast] = groups[process.argv[2]]
  const waiting = Object.entries(flows)
  const lane = async () => {
    for (let next; (next = waiting.shift());) {
      const [name, flow] = next
      const began = Date.now()
      const outcome = await flow(browser).then(() => ({}), (error) => ({ error: error.stack || String(error) }))
      console.log(JSON.stringify({ name, ms: Date.now() - began, ...outcome }))
    }
  }
  await Promise.all(Array.from({ length: abreast }, lane))
  await browser.close()
  shop.closeAllConnections()
  shop.close()
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})

// The obvious way from a call to its charge. It checks what one checks at first.
const EMAIL = /^[^\s@]+@[^\s@]+\.[^\s@]+$/;
const PHONE = /^[+0-9 ()-]{5,20}$/;

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
export function translate(form, id) {
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

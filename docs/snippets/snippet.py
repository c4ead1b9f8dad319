"""The PSP's side of the Simple API in Python: a call, the hash of the return and of notifications.

    snippet.py call ADAPTER                       opens a payment, prints its TXID
    snippet.py hash FIRST SECOND SECRET           the nested hash
    snippet.py return QUERY REDIRECTSECRET SHAREDSECRET
    snippet.py notification BODY NOTIFICATIONSECRET
"""

import hashlib
import hmac
import json
import sys
import time
import urllib.request
from urllib.parse import parse_qsl, quote, urlencode


def nested(first, second, secret):
    """sha256( sha256( first + "." + second ) + "." + secret ), both digests in lower-case hex."""
    inner = hashlib.sha256(f"{first}.{second}".encode()).hexdigest()
    return hashlib.sha256(f"{inner}.{secret}".encode()).hexdigest()


def pairs(text):
    return dict(parse_qsl(text, keep_blank_values=True))


def call(adapter):
    cart = [{"name": "table", "price": "2000.00", "quantity": 5}]
    form = {
        "returnmode": "urlencodeext", "txtype": "TRANSACTION",
        "login": "testclient", "password": "test123", "contractid": "TESTCONTRACT",
        "channel": "testchannel", "tag": "gopay", "countrycode": "ID", "currency": "IDR",
        "amount": "1000000",  # sen: the cart is 10,000 rupiah
        "merchanttxid": f"PY-{time.time_ns()}", "accountholdername": "Siti Rahma",
        "merchantredirecturl": "https://shop.example/return",
        "transientin.orderitems": json.dumps(cart),
    }
    body = urlencode(form, quote_via=quote).encode()
    with urllib.request.urlopen(adapter + "/", data=body, timeout=40) as answer:
        said = pairs(answer.read().decode())
    if said["STATUS"] != "PENDING":
        sys.exit(said["ERRMSG"])
    # Store TXID and REDIRECTSECRET, then send the shopper to REDIRECTURL.
    return said["TXID"]


def genuine_return(query, redirect_secret, shared_secret):
    said = pairs(query)
    expected = nested(said.get("txid", ""), redirect_secret, shared_secret)
    return hmac.compare_digest(said.get("cs", "").encode(), expected.encode())


def notification(body, secret):
    """What to answer: a hash that is right is confirmed, then GETTXSTATUS is asked."""
    said = pairs(body)
    expected = nested(said.get("txid", ""), said.get("finaltimestamp", ""), secret)
    genuine = hmac.compare_digest(said.get("sha256hash", "").encode(), expected.encode())
    return "200 OK" if genuine else "403 wrong sha256hash"


if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    if what == "return":
        print("genuine" if genuine_return(*rest) else "forged")
    else:
        print({"call": call, "hash": nested, "notification": notification}[what](*rest))

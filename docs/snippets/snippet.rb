# The PSP's side of the Simple API in Ruby: a call, the hash of the return and of notifications.
#
#   ruby snippet.rb call ADAPTER                       opens a payment, prints its TXID
#   ruby snippet.rb hash FIRST SECOND SECRET           the nested hash
#   ruby snippet.rb return QUERY REDIRECTSECRET SHAREDSECRET
#   ruby snippet.rb notification BODY NOTIFICATIONSECRET
require "digest"
require "json"
require "net/http"
require "openssl"
require "uri"

# sha256( sha256( first + "." + second ) + "." + secret ), both digests in lower-case hex.
def nested(first, second, secret)
  inner = Digest::SHA256.hexdigest("#{first}.#{second}")
  Digest::SHA256.hexdigest("#{inner}.#{secret}")
end

# In constant time; the lengths are no secret.
def same(left, right)
  left.bytesize == right.bytesize && OpenSSL.fixed_length_secure_compare(left, right)
end

def pairs(text)
  URI.decode_www_form(text).to_h
end

def call(adapter)
  form = {
    "returnmode" => "urlencodeext", "txtype" => "TRANSACTION",
    "login" => "testclient", "password" => "test123", "contractid" => "TESTCONTRACT",
    "channel" => "testchannel", "tag" => "gopay", "countrycode" => "ID", "currency" => "IDR",
    "amount" => "1000000", # sen: the cart is 10,000 rupiah
    "merchanttxid" => "RB-#{Process.clock_gettime(Process::CLOCK_REALTIME, :nanosecond)}",
    "accountholdername" => "Siti Rahma",
    "merchantredirecturl" => "https://shop.example/return",
    "transientin.orderitems" => JSON.generate([{ name: "table", price: "2000.00", quantity: 5 }])
  }
  said = pairs(Net::HTTP.post_form(URI("#{adapter}/"), form).body)
  abort(said["ERRMSG"]) unless said["STATUS"] == "PENDING"
  # Store TXID and REDIRECTSECRET, then send the shopper to REDIRECTURL.
  said["TXID"]
end

def genuine_return(query, redirect_secret, shared_secret)
  said = pairs(query)
  expected = nested(said.fetch("txid", ""), redirect_secret, shared_secret)
  same(said.fetch("cs", ""), expected) ? "genuine" : "forged"
end

# What to answer: a hash that is right is confirmed, then GETTXSTATUS is asked.
def notification(body, secret)
  said = pairs(body)
  expected = nested(said.fetch("txid", ""), said.fetch("finaltimestamp", ""), secret)
  same(said.fetch("sha256hash", ""), expected) ? "200 OK" : "403 wrong sha256hash"
end

what, *rest = ARGV
names = { "call" => :call, "hash" => :nested, "return" => :genuine_return, "notification" => :notification }
puts send(names.fetch(what), *rest)

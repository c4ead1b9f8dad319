#!/usr/bin/env bash
# The PSP's side of the Simple API in shell: a call, the hash of the return and of notifications.
#
#   snippet.sh call ADAPTER                       opens a payment, prints its TXID
#   snippet.sh hash FIRST SECOND SECRET           the nested hash
#   snippet.sh return QUERY REDIRECTSECRET SHAREDSECRET
#   snippet.sh notification BODY NOTIFICATIONSECRET
set -euo pipefail

# sha256( sha256( first + "." + second ) + "." + secret ), both digests in lower-case hex.
nested() {
    local inner
    inner=$(printf '%s' "$1.$2" | sha256sum | cut -d' ' -f1)
    printf '%s' "$inner.$3" | sha256sum | cut -d' ' -f1
}

# The decoded value of a pair in a form; empty if there is none.
value() {
    local text
    text=$(tr '&' '\n' <<<"$1" | sed -n "s/^$2=//p" | head -1)
    text=${text//+/ }
    printf '%b' "${text//%/\\x}"
}

call() {
    local answer
    answer=$(curl -sS "$1/" \
        --data-urlencode 'returnmode=urlencodeext' --data-urlencode 'txtype=TRANSACTION' \
        --data-urlencode 'login=testclient' --data-urlencode 'password=test123' \
        --data-urlencode 'contractid=TESTCONTRACT' --data-urlencode 'channel=testchannel' \
        --data-urlencode 'tag=gopay' --data-urlencode 'countrycode=ID' --data-urlencode 'currency=IDR' \
        --data-urlencode 'amount=1000000' --data-urlencode "merchanttxid=SH-$RANDOM$RANDOM" \
        --data-urlencode 'accountholdername=Siti Rahma' \
        --data-urlencode 'merchantredirecturl=https://shop.example/return' \
        --data-urlencode 'transientin.orderitems=[{"name":"table","price":"2000.00","quantity":5}]')
    if [ "$(value "$answer" STATUS)" != PENDING ]; then
        value "$answer" ERRMSG >&2
        return 1
    fi
    # Store TXID and REDIRECTSECRET, then send the shopper to REDIRECTURL.
    value "$answer" TXID
}

# Comparing in the shell is not constant in time: fit for trying out, not for production.
genuine_return() {
    [ "$(value "$1" cs)" = "$(nested "$(value "$1" txid)" "$2" "$3")" ]
}

# What to answer: a hash that is right is confirmed, then GETTXSTATUS is asked.
notification() {
    local expected
    expected=$(nested "$(value "$1" txid)" "$(value "$1" finaltimestamp)" "$2")
    if [ "$(value "$1" sha256hash)" = "$expected" ]; then echo '200 OK'; else echo '403 wrong sha256hash'; fi
}

case $1 in
call) call "$2" ;;
hash) nested "$2" "$3" "$4" ;;
return) if genuine_return "$2" "$3" "$4"; then echo genuine; else echo forged; fi ;;
notification) notification "$2" "$3" ;;
esac

// The PSP's side of the Simple API in Go: a call, the hash of the return and of notifications.
//
//	go run snippet.go call ADAPTER                       opens a payment, prints its TXID
//	go run snippet.go hash FIRST SECOND SECRET           the nested hash
//	go run snippet.go return QUERY REDIRECTSECRET SHAREDSECRET
//	go run snippet.go notification BODY NOTIFICATIONSECRET
package main

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"time"
)

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// nested is sha256( sha256( first + "." + second ) + "." + secret ), both digests in lower-case hex.
func nested(first, second, secret string) string {
	return digest(digest(first+"."+second) + "." + secret)
}

func same(left, right string) bool {
	return subtle.ConstantTimeCompare([]byte(left), []byte(right)) == 1
}

func call(adapter string) (string, error) {
	form := url.Values{
		"returnmode": {"urlencodeext"}, "txtype": {"TRANSACTION"},
		"login": {"testclient"}, "password": {"test123"}, "contractid": {"TESTCONTRACT"},
		"channel": {"testchannel"}, "tag": {"gopay"}, "countrycode": {"ID"}, "currency": {"IDR"},
		"amount":                 {"1000000"}, // sen: the cart is 10,000 rupiah
		"merchanttxid":           {fmt.Sprintf("GO-%d", time.Now().UnixNano())},
		"accountholdername":      {"Siti Rahma"},
		"merchantredirecturl":    {"https://shop.example/return"},
		"transientin.orderitems": {`[{"name":"table","price":"2000.00","quantity":5}]`},
	}
	client := http.Client{Timeout: 40 * time.Second}
	answer, err := client.PostForm(adapter+"/", form)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return "", err
	}
	said, err := url.ParseQuery(string(body))
	if err != nil {
		return "", err
	}
	if said.Get("STATUS") != "PENDING" {
		return "", fmt.Errorf("%s", said.Get("ERRMSG"))
	}
	// Store TXID and REDIRECTSECRET, then send the shopper to REDIRECTURL.
	return said.Get("TXID"), nil
}

func genuineReturn(query, redirectSecret, sharedSecret string) bool {
	said, err := url.ParseQuery(query)
	return err == nil && same(said.Get("cs"), nested(said.Get("txid"), redirectSecret, sharedSecret))
}

// notification tells what to answer: a hash that is right is confirmed, then GETTXSTATUS is asked.
func notification(body, secret string) string {
	said, err := url.ParseQuery(body)
	expected := nested(said.Get("txid"), said.Get("finaltimestamp"), secret)
	if err == nil && same(said.Get("sha256hash"), expected) {
		return "200 OK"
	}
	return "403 wrong sha256hash"
}

func main() {
	args := os.Args[1:]
	switch args[0] {
	case "call":
		txid, err := call(args[1])
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(txid)
	case "hash":
		fmt.Println(nested(args[1], args[2], args[3]))
	case "return":
		if genuineReturn(args[1], args[2], args[3]) {
			fmt.Println("genuine")
		} else {
			fmt.Println("forged")
		}
	case "notification":
		fmt.Println(notification(args[1], args[2]))
	}
}

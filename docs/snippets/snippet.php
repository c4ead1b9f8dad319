<?php
// The PSP's side of the Simple API in PHP: a call, the hash of the return and of notifications.
//
//   php snippet.php call ADAPTER                       opens a payment, prints its TXID
//   php snippet.php hash FIRST SECOND SECRET           the nested hash
//   php snippet.php return QUERY REDIRECTSECRET SHAREDSECRET
//   php snippet.php notification BODY NOTIFICATIONSECRET
declare(strict_types=1);

// sha256( sha256( first + "." + second ) + "." + secret ), both digests in lower-case hex.
function nested(string $first, string $second, string $secret): string
{
    return hash('sha256', hash('sha256', "$first.$second") . ".$secret");
}

// parse_str would turn the dots of names into underscores; these have none.
function pairs(string $text): array
{
    parse_str($text, $pairs);
    return $pairs;
}

function call(string $adapter): string
{
    $form = [
        'returnmode' => 'urlencodeext', 'txtype' => 'TRANSACTION',
        'login' => 'testclient', 'password' => 'test123', 'contractid' => 'TESTCONTRACT',
        'channel' => 'testchannel', 'tag' => 'gopay', 'countrycode' => 'ID', 'currency' => 'IDR',
        'amount' => '1000000', // sen: the cart is 10,000 rupiah
        'merchanttxid' => 'PHP-' . hrtime(true), 'accountholdername' => 'Siti Rahma',
        'merchantredirecturl' => 'https://shop.example/return',
        'transientin.orderitems' => json_encode([['name' => 'table', 'price' => '2000.00', 'quantity' => 5]]),
    ];
    $context = stream_context_create(['http' => [
        'method' => 'POST',
        'header' => 'Content-Type: application/x-www-form-urlencoded',
        'content' => http_build_query($form, '', '&', PHP_QUERY_RFC3986),
        'timeout' => 40,
        'ignore_errors' => true,
    ]]);
    $said = pairs((string) file_get_contents("$adapter/", false, $context));
    if (($said['STATUS'] ?? '') !== 'PENDING') {
        fwrite(STDERR, $said['ERRMSG'] ?? 'no answer');
        exit(1);
    }
    // Store TXID and REDIRECTSECRET, then send the shopper to REDIRECTURL.
    return $said['TXID'];
}

function genuine_return(string $query, string $redirectSecret, string $sharedSecret): string
{
    $said = pairs($query);
    $expected = nested($said['txid'] ?? '', $redirectSecret, $sharedSecret);
    return hash_equals($expected, $said['cs'] ?? '') ? 'genuine' : 'forged';
}

// What to answer: a hash that is right is confirmed, then GETTXSTATUS is asked.
function notification(string $body, string $secret): string
{
    $said = pairs($body);
    $expected = nested($said['txid'] ?? '', $said['finaltimestamp'] ?? '', $secret);
    return hash_equals($expected, $said['sha256hash'] ?? '') ? '200 OK' : '403 wrong sha256hash';
}

$functions = ['call' => 'call', 'hash' => 'nested', 'return' => 'genuine_return', 'notification' => 'notification'];
echo $functions[$argv[1]](...array_slice($argv, 2)), "\n";

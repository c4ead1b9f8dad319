// The PSP's side of the Simple API in Java (17): a call, the hash of the return and of notifications.
//
//   java Snippet.java call ADAPTER                       opens a payment, prints its TXID
//   java Snippet.java hash FIRST SECOND SECRET           the nested hash
//   java Snippet.java return QUERY REDIRECTSECRET SHAREDSECRET
//   java Snippet.java notification BODY NOTIFICATIONSECRET
import static java.nio.charset.StandardCharsets.UTF_8;

import java.net.URI;
import java.net.URLDecoder;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.Collectors;

public class Snippet {
    static String sha256(String text) throws Exception {
        byte[] digest = MessageDigest.getInstance("SHA-256").digest(text.getBytes(UTF_8));
        return HexFormat.of().formatHex(digest);
    }

    /** sha256( sha256( first + "." + second ) + "." + secret ), both digests in lower-case hex. */
    static String nested(String first, String second, String secret) throws Exception {
        return sha256(sha256(first + "." + second) + "." + secret);
    }

    /** In constant time. */
    static boolean same(String left, String right) {
        return MessageDigest.isEqual(left.getBytes(UTF_8), right.getBytes(UTF_8));
    }

    static Map<String, String> pairs(String text) {
        Map<String, String> pairs = new HashMap<>();
        for (String pair : text.split("&")) {
            String[] parts = pair.split("=", 2);
            pairs.put(parts[0], parts.length == 2 ? URLDecoder.decode(parts[1], UTF_8) : "");
        }
        return pairs;
    }

    static String call(String adapter) throws Exception {
        Map<String, String> form = new LinkedHashMap<>();
        form.put("returnmode", "urlencodeext");
        form.put("txtype", "TRANSACTION");
        form.put("login", "testclient");
        form.put("password", "test123");
        form.put("contractid", "TESTCONTRACT");
        form.put("channel", "testchannel");
        form.put("tag", "gopay");
        form.put("countrycode", "ID");
        form.put("currency", "IDR");
        form.put("amount", "1000000"); // sen: the cart is 10,000 rupiah
        form.put("merchanttxid", "JAVA-" + System.nanoTime());
        form.put("accountholdername", "Siti Rahma");
        form.put("merchantredirecturl", "https://shop.example/return");
        form.put("transientin.orderitems", "[{\"name\":\"table\",\"price\":\"2000.00\",\"quantity\":5}]");
        String body = form.entrySet().stream()
                .map(pair -> pair.getKey() + "=" + URLEncoder.encode(pair.getValue(), UTF_8))
                .collect(Collectors.joining("&"));
        HttpRequest request = HttpRequest.newBuilder(URI.create(adapter + "/"))
                .header("Content-Type", "application/x-www-form-urlencoded")
                .timeout(Duration.ofSeconds(40))
                .POST(HttpRequest.BodyPublishers.ofString(body))
                .build();
        Map<String, String> said =
                pairs(HttpClient.newHttpClient().send(request, BodyHandlers.ofString()).body());
        if (!"PENDING".equals(said.get("STATUS"))) {
            throw new IllegalStateException(said.get("ERRMSG"));
        }
        // Store TXID and REDIRECTSECRET, then send the shopper to REDIRECTURL.
        return said.get("TXID");
    }

    static boolean genuineReturn(String query, String redirectSecret, String sharedSecret)
            throws Exception {
        Map<String, String> said = pairs(query);
        String expected = nested(said.getOrDefault("txid", ""), redirectSecret, sharedSecret);
        return same(said.getOrDefault("cs", ""), expected);
    }

    /** What to answer: a hash that is right is confirmed, then GETTXSTATUS is asked. */
    static String notification(String body, String secret) throws Exception {
        Map<String, String> said = pairs(body);
        String expected = nested(
                said.getOrDefault("txid", ""), said.getOrDefault("finaltimestamp", ""), secret);
        return same(said.getOrDefault("sha256hash", ""), expected) ? "200 OK" : "403 wrong sha256hash";
    }

    public static void main(String[] args) throws Exception {
        System.out.println(switch (args[0]) {
            case "call" -> call(args[1]);
            case "hash" -> nested(args[1], args[2], args[3]);
            case "return" -> genuineReturn(args[1], args[2], args[3]) ? "genuine" : "forged";
            case "notification" -> notification(args[1], args[2]);
            default -> throw new IllegalArgumentException(args[0]);
        });
    }
}

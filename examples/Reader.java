import java.io.IOException;
import java.io.OutputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.UUID;

/**
 * Reads data that a connector holds: lists what this application may read, and reads one agreement.
 *
 * <pre>TALLY_APP_TOKEN=… java Reader.java http://127.0.0.1:8481 [AGREEMENT FILE]</pre>
 *
 * A read that is cut off goes on where it stopped and counts once: the same Idempotency-Key, and
 * If-Range with what the data was called. A refusal is a problem document that says why.
 */
public class Reader {
    /** By the policy: asking again changes nothing, or not before its `until`. */
    static class Refused extends IOException {
        Refused(String problem) {
            super(problem);
        }
    }

    static final HttpClient client = HttpClient.newHttpClient();

    static HttpRequest.Builder request(String url) {
        return HttpRequest.newBuilder(URI.create(url))
                .header("Authorization", "Bearer " + System.getenv("TALLY_APP_TOKEN"));
    }

    /** JSON; parse it with the library of your choice. */
    static String mayRead(String base) throws IOException, InterruptedException {
        var answer = client.send(request(base + "/api/v1/my-agreements").build(),
                HttpResponse.BodyHandlers.ofString());
        if (answer.statusCode() != 200) throw new Refused(answer.body());
        return answer.body();
    }

    /** Writes all of it to `out`; returns the use that was counted. */
    static String read(String base, String agreement, OutputStream out)
            throws IOException, InterruptedException {
        String key = UUID.randomUUID().toString();
        String etag = null;
        long have = 0;
        IOException cut = null;
        for (int attempt = 0; attempt < 5; attempt++) {
            var asked = request(base + "/api/v1/data/" + agreement).header("Idempotency-Key", key);
            if (etag != null) asked.header("Range", "bytes=" + have + "-").header("If-Range", etag);
            try {
                var answer = client.send(asked.build(), HttpResponse.BodyHandlers.ofInputStream());
                if (answer.statusCode() >= 400) {
                    throw new Refused(new String(answer.body().readAllBytes(), "UTF-8"));
                }
                etag = answer.headers().firstValue("ETag").orElse(null);
                try (var body = answer.body()) {
                    byte[] piece = new byte[1 << 16];
                    for (int n; (n = body.read(piece)) >= 0; have += n) out.write(piece, 0, n);
                }
                return answer.headers().firstValue("Tally-Use").orElse("");
            } catch (Refused refused) {
                throw refused;
            } catch (IOException failed) {
                cut = failed;  // goes on from `have`
            }
        }
        throw cut;
    }

    public static void main(String[] arguments) throws Exception {
        try {
            System.out.println(mayRead(arguments[0]));
            if (arguments.length < 3) return;
            try (var out = Files.newOutputStream(Path.of(arguments[2]))) {
                String use = read(arguments[0], arguments[1], out);
                System.out.println("read " + arguments[1] + " as use " + use);
            }
        } catch (Refused refused) {
            System.err.println(refused.getMessage());
            System.exit(1);
        }
    }
}

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.regex.Pattern;

import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;

/**
 * One line for each test of the kit. JUnit finds it by META-INF/services, since the kit lets nobody add a
 * listener; so what was counted is static.
 */
public final class Results implements TestExecutionListener {
    private static final Pattern ID = Pattern.compile("^([A-Z]+(?:_C)?:\\d\\d-\\d\\d)\\b");
    private static final int MOST_KEPT = 12;

    private static final Set<String> EXPECTED = new HashSet<>();
    private static final Set<String> PASSED = new HashSet<>();
    private static final Set<String> TOLD = new HashSet<>();
    private static final List<String> REFUSED = new ArrayList<>();
    private static long began;

    /** Sets the tests that have to pass. */
    static void begin(Set<String> expected) {
        EXPECTED.addAll(expected);
    }

    /** The id in the display name of a test; the whole name where there is none. */
    static String idOf(String name) {
        var found = ID.matcher(name);
        return found.find() ? found.group(1) : name;
    }

    /** Keeps why a message to the kit was refused, to be told if the test fails. */
    static synchronized void refused(Throwable error) {
        if (REFUSED.size() < MOST_KEPT) {
            REFUSED.add(because(error));
        }
    }

    /** Tells what never ran and counts; true when all that was expected passed. */
    static synchronized boolean end() {
        EXPECTED.stream().filter(id -> !TOLD.contains(id)).sorted()
                .forEach(id -> line("FAIL", id, 0, "  it never ran"));
        int passed = PASSED.size();
        System.out.println(passed + " passed, " + (EXPECTED.size() - passed) + " failed");
        return passed == EXPECTED.size();
    }

    private static void line(String word, String id, long nanos, String more) {
        System.out.printf(Locale.ROOT, "%s %-12s %5.1f s%s%n", word, id, nanos / 1e9, more);
        System.out.flush();
    }

    private static String because(Throwable error) {
        var text = new StringBuilder();
        for (var at = error; at != null; at = at.getCause()) {
            text.append(text.length() == 0 ? "" : " <- ")
                    .append(at.getMessage() == null ? at.getClass().getName() : at.getMessage());
        }
        return text.toString().replaceAll("\\s+", " ");
    }

    @Override
    public void executionStarted(TestIdentifier test) {
        synchronized (Results.class) {
            if (test.isTest()) {
                REFUSED.clear();
                began = System.nanoTime();
            }
        }
    }

    @Override
    public void executionSkipped(TestIdentifier test, String reason) {
        synchronized (Results.class) {
            if (test.isTest()) {
                TOLD.add(idOf(test.getDisplayName()));
                line("FAIL", idOf(test.getDisplayName()), 0, "  the kit skips it: " + reason);
            }
        }
    }

    @Override
    public void executionFinished(TestIdentifier test, TestExecutionResult result) {
        synchronized (Results.class) {
            boolean good = result.getStatus() == TestExecutionResult.Status.SUCCESSFUL;
            if (good && !test.isTest()) {
                return;
            }
            String id = idOf(test.getDisplayName());
            long took = test.isTest() ? System.nanoTime() - began : 0;
            // A class that cannot begin has no tests; they are told at the end.
            TOLD.add(id);
            if (good) {
                PASSED.add(id);
                line("PASS", id, took, "");
                return;
            }
            line("FAIL", id, took, "  " + result.getThrowable().map(Results::because).orElse("no reason given"));
            REFUSED.forEach(why -> System.out.println("     refused a message: " + why));
        }
    }
}

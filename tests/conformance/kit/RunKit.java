import java.lang.reflect.Proxy;
import java.util.Set;
import java.util.TreeSet;

import org.eclipse.dataspacetck.core.spi.boot.Monitor;
import org.eclipse.dataspacetck.dsp.system.DspSystemLauncher;
import org.eclipse.dataspacetck.runtime.TckRuntime;

/**
 * Runs those tests of the conformance kit that are named on the command line: {@code RunKit MET:01-01 …}.
 * Each is a line of the output, and the last line counts. Exit code 0: each of them ran and passed. The kit
 * takes its settings from the properties of the JVM.
 */
public final class RunKit {
    private RunKit() {}

    public static void main(String... ids) {
        Set<String> expected = new TreeSet<>(Set.of(ids));
        Results.begin(expected);
        // How the kit takes a message that fails its checks: it gives no answer, and a thread of it ends.
        Thread.setDefaultUncaughtExceptionHandler((thread, error) -> Results.refused(error));
        TckRuntime.Builder.newInstance()
                .launcher(DspSystemLauncher.class)
                .addPackage("org.eclipse.dataspacetck.dsp.verification")
                .displayNameMatching(name -> expected.contains(Results.idOf(name)))
                .monitor(quiet())
                .build()
                .execute();
        // What the kit leaves running keeps no JVM alive.
        System.exit(Results.end() ? 0 : 1);
    }

    /** In place of the lines that the kit would write beside ours. */
    private static Monitor quiet() {
        return (Monitor) Proxy.newProxyInstance(RunKit.class.getClassLoader(), new Class<?>[] {Monitor.class},
                (monitor, method, arguments) -> monitor);
    }
}

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.eclipse.edc.runtime.metamodel.annotation.Inject;
import org.eclipse.edc.spi.EdcException;
import org.eclipse.edc.spi.security.Vault;
import org.eclipse.edc.spi.system.ServiceExtension;
import org.eclipse.edc.spi.system.ServiceExtensionContext;

/**
 * Puts the key pair of the data plane's tokens into the vault of a stock EDC, which by itself has one
 * in memory with nothing in it. The only code that is added to it.
 */
public class KeysExtension implements ServiceExtension {
    @Inject
    private Vault vault;

    @Override
    public void initialize(ServiceExtensionContext context) {
        for (String alias : new String[] {"private-key", "public-key"}) {
            Path file = Path.of(context.getSetting("tally.interop." + alias, ""));
            try {
                vault.storeSecret(alias, Files.readString(file));
            } catch (IOException fault) {
                throw new EdcException("the key file " + file + " cannot be read", fault);
            }
        }
    }
}

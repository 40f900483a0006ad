import java.io.BufferedReader;
import java.io.InputStreamReader;
import sun.security.krb5.internal.ccache.Credentials;
import sun.security.krb5.internal.ccache.CredentialsCache;

/** As reader.c does, by Java's own implementation: `Reader FILE`. It keeps no configuration entries, and says of no file why. */
public class Reader {
  public static void main(String[] args) throws Exception {
    var lines = new BufferedReader(new InputStreamReader(System.in));
    while (lines.readLine() != null) {
      System.out.println(read(args[0]));
      System.out.flush();
    }
  }

  private static String read(String path) throws Exception {
    CredentialsCache ccache = CredentialsCache.getInstance("FILE:" + path);
    if (ccache == null) return "-\t-";
    var line = new StringBuilder(ccache.getPrimaryPrincipal().getName()).append('\t');
    Credentials[] tickets = ccache.getCredsList();
    if (tickets == null) return line.toString();
    for (Credentials each : tickets) {
      line.append(each.getServicePrincipal().getName());
      line.append(String.format("#%08x ", hash(each.getTicket().asn1Encode())));
    }
    return line.toString();
  }

  private static int hash(byte[] bytes) {
    int hash = 0x811c9dc5;
    for (byte each : bytes) hash = (hash ^ (each & 0xff)) * 16777619;
    return hash;
  }
}

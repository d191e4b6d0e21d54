// A listener of Java.
import java.net.ServerSocket;
import java.net.Socket;

public class Listener {
    public static void main(String[] arguments) throws Exception {
        try (ServerSocket listener = new ServerSocket(3459); Socket client = listener.accept()) {
            Thread.currentThread().join();
        }
    }
}

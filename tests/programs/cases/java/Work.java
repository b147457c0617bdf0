import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.zip.Deflater;
import java.util.zip.DeflaterOutputStream;

/**
 * Exercises the parts of the JVM that lean on malloc: its compilers' arenas, class data, threads,
 * direct buffers and zlib. Prints only what is the same in every run.
 */
public final class Work {
    private static String digest(byte[] data) throws Exception {
        StringBuilder text = new StringBuilder();
        for (byte b : MessageDigest.getInstance("SHA-256").digest(data))
            text.append(String.format("%02x", b));
        return text.toString();
    }

    private static long next(long seed) {
        return seed * 16807 % 2147483647;
    }

    private static String countWords(int seed) throws Exception {
        Map<String, Integer> count = new TreeMap<>();
        long value = seed;
        for (int i = 0; i < 100000; i++) {
            value = next(value);
            count.merge("word" + value % 5003, 1, Integer::sum);
        }
        return count.size() + " " + digest(count.toString().getBytes("UTF-8"));
    }

    private static String compress(int seed) throws Exception {
        ByteArrayOutputStream packed = new ByteArrayOutputStream();
        Deflater deflater = new Deflater(seed % 9 + 1);
        try (DeflaterOutputStream out = new DeflaterOutputStream(packed, deflater)) {
            long value = seed;
            for (int i = 0; i < 50000; i++) {
                value = next(value);
                out.write(("line " + value % 1000 + "\n").getBytes("UTF-8"));
            }
        } finally {
            deflater.end();
        }
        return packed.size() + " " + digest(packed.toByteArray());
    }

    private static String directBuffers(int seed) {
        long sum = 0;
        long value = seed;
        for (int i = 0; i < 300; i++) {
            value = next(value);
            ByteBuffer buffer = ByteBuffer.allocateDirect((int) (value % 200000) + 8);
            buffer.putLong(0, value);
            sum += buffer.getLong(0) + buffer.get(buffer.capacity() - 1) + buffer.capacity();
        }
        return "sum " + sum;
    }

    private static void inThreads(String name, Callable<?>[] tasks) throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(8);
        List<Future<?>> results = new ArrayList<>();
        for (Callable<?> task : tasks)
            results.add(pool.submit(task));
        for (Future<?> result : results)
            System.out.println(name + ": " + result.get());
        pool.shutdown();
    }

    private static void manyThreads() throws Exception {
        int[] total = new int[1];
        for (int round = 0; round < 20; round++) {
            List<Thread> threads = new ArrayList<>();
            for (int i = 0; i < 50; i++)
                threads.add(new Thread(() -> {
                    synchronized (total) {
                        total[0]++;
                    }
                }));
            for (Thread thread : threads)
                thread.start();
            for (Thread thread : threads)
                thread.join();
        }
        System.out.println("threads: " + total[0]);
    }

    public static void main(String[] arguments) throws Exception {
        Callable<?>[] words = new Callable<?>[16];
        Callable<?>[] packed = new Callable<?>[16];
        Callable<?>[] direct = new Callable<?>[16];
        for (int i = 0; i < 16; i++) {
            int seed = i + 1;
            words[i] = () -> countWords(seed);
            packed[i] = () -> compress(seed);
            direct[i] = () -> directBuffers(seed);
        }
        inThreads("words", words);
        inThreads("packed", packed);
        inThreads("direct", direct);
        manyThreads();
    }
}

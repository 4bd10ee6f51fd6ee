/*
 * A load of Kafka requests that costs little, so that the broker is measured and not its client: one thread, one epoll, requests that were
 * encoded before the start, and answers of which only what counts is looked at. Enters: where, what and how long. Leaves: one line of JSON.
 * Always holds: an answer with an error, or one that cannot be understood, ends it with exit code 1 and a sentence; it counts only whole answers.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "wire.h"

/* Both without tags and topic ids; Apache Kafka 4 and Stele serve them. */
enum { produceKey = 0, produceVersion = 7, fetchKey = 1, fetchVersion = 11, apiVersionsKey = 18 };

enum { headBytesMax = 512, topicBytesMax = 249, eventsMax = 512 };
/* Small requests are sent from a row of copies that is about so long: one system call takes many of them. */
enum { rowBytes = 256 * 1024, readBytes = 256 * 1024 };
/* Within the smallest L2 caches: what is read is never looked at again. */
static uint8_t readBuffer[readBytes];

static const uint64_t second = 1000000000;
static const uint64_t patienceSeconds = 30;

static struct {
  bool fetches;
  char host[256], port[32], topic[topicBytesMax + 1];
  int acks;
  int64_t partitions, connections, inFlight, batchBytes, valueBytes, maxBytes, from, bytesMax, pid;
  double seconds, warmUpSeconds;
} options = {
  .partitions = 1, .connections = 1, .inFlight = 1, .acks = 1, .valueBytes = 100, .maxBytes = 1024 * 1024, .bytesMax = INT64_MAX,
  .seconds = 5, .warmUpSeconds = 1,
};

static const char help[] =
  "usage: generator produce HOST:PORT --topic=NAME [options]\n"
  "       generator fetch HOST:PORT --topic=NAME [options]\n"
  "\n"
  "Sends Produce or Fetch requests as fast as they are answered, and prints one line of JSON: requests, bytes (of batches), seconds, their rates,\n"
  "the latency of a request in milliseconds, and the CPU seconds of this process and of the broker (--pid). The topic must exist.\n"
  "\n"
  "  --topic=NAME        which topic\n"
  "  --partitions=N      connection n works on partition n % N                                [1]\n"
  "  --connections=N     how many connections                                                 [1]\n"
  "  --seconds=S         how long is measured                                                 [5]\n"
  "  --warm-up=S         how long it runs before that                                         [1]\n"
  "  --bytes=N           ends earlier when so many bytes were answered; the warm-up at a quarter of them\n"
  "  --pid=N             the broker's process on this machine, for its CPU seconds\n"
  "\n"
  "produce:\n"
  "  --in-flight=N       unanswered requests on each connection                               [1]\n"
  "  --batch=BYTES       a batch has as many records as fit, at least one                     [one record]\n"
  "  --value=BYTES       a record's value                                                     [100]\n"
  "  --acks=1|all        who must have a record before it is answered                         [1]\n"
  "\n"
  "fetch, one request in flight on each connection:\n"
  "  --max-bytes=BYTES   the largest answer; only whole batches count                         [1M]\n"
  "  --from=OFFSET       where each begins, and begins again at the end of the log            [0]\n"
  "\n"
  "BYTES and N may end in K, M or G (1024, 1024^2, 1024^3). Any error of the broker ends it with exit code 1 and a sentence.\n\n"
  "examples:\n"
  "  generator produce 127.0.0.1:9092 --topic=loaded --in-flight=64                     single records of 100 B, pipelined\n"
  "  generator produce 127.0.0.1:9092 --topic=loaded --batch=16K --value=1000 --acks=all\n"
  "  generator produce 127.0.0.1:9092 --topic=loaded --partitions=8 --connections=32 --batch=16K --value=1000 --in-flight=5\n"
  "  generator fetch 127.0.0.1:9092 --topic=loaded --max-bytes=64K --seconds=10\n";

/* A request, in a row of copies. */
typedef struct {
  uint8_t *bytes;
  size_t length, frameBytes, batchBytes;
} Row;

static Row produceRow(int partition) {
  size_t roomBytes = (size_t)(options.batchBytes > options.valueBytes ? options.batchBytes : options.valueBytes) + 1024;
  uint8_t *frame = allocate(roomBytes), *at = beginRequest(frame, produceKey, produceVersion);
  at = writeInt(at, -1, 2); /* no transactional id */
  at = writeInt(at, options.acks, 2);
  at = writeInt(at, (int64_t)patienceSeconds * 1000, 4);
  at = writeInt(at, 1, 4);
  at = writeString(at, options.topic);
  at = writeInt(at, 1, 4);
  at = writeInt(at, partition, 4);
  uint8_t *batch = at + 4, *end = writeBatch(batch, options.batchBytes, options.valueBytes);
  writeInt(at, end - batch, 4);
  Row row = {.frameBytes = endRequest(frame, end), .batchBytes = (size_t)(end - batch)};
  size_t copies = rowBytes / row.frameBytes;
  if (copies > (size_t)options.inFlight) copies = (size_t)options.inFlight;
  if (copies == 0) copies = 1;
  row.length = copies * row.frameBytes;
  row.bytes = allocate(row.length);
  for (size_t i = 0; i < copies; i++) memcpy(row.bytes + i * row.frameBytes, frame, row.frameBytes);
  free(frame);
  return row;
}

static size_t fetchOffsetAt;

static Row fetchRow(int partition) {
  uint8_t *frame = allocate(1024), *at = beginRequest(frame, fetchKey, fetchVersion);
  at = writeInt(at, -1, 4);  /* a consumer */
  at = writeInt(at, 500, 4); /* waits so many ms ... */
  at = writeInt(at, 1, 4);   /* ... for one byte */
  at = writeInt(at, options.maxBytes, 4);
  at = writeInt(at, 0, 1); /* uncommitted ones too */
  at = writeInt(at, 0, 4); /* no session ... */
  at = writeInt(at, -1, 4);
  at = writeInt(at, 1, 4);
  at = writeString(at, options.topic);
  at = writeInt(at, 1, 4);
  at = writeInt(at, partition, 4);
  at = writeInt(at, -1, 4); /* whichever epoch */
  fetchOffsetAt = (size_t)(at - frame);
  at = writeInt(at, options.from, 8);
  at = writeInt(at, -1, 8); /* not a follower */
  at = writeInt(at, options.maxBytes, 4);
  at = writeInt(at, 0, 4); /* ... and nothing to forget in it */
  at = writeString(at, ""); /* no rack */
  Row row = {.bytes = frame};
  row.frameBytes = row.length = endRequest(frame, at);
  return row;
}

/* --- what is measured ------------------------------------------------------------------------------------------------------------- */

/* Durations in nanoseconds: exact to 127, then 128 steps for each power of two. */
enum { durationsCount = 57 * 128 + 128 };

static struct {
  uint64_t startedAt, requests, bytes, longest;
  double ownCpu, serverCpu;
  uint64_t durations[durationsCount];
} measured;

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * second + (uint64_t)time.tv_nsec;
}

static void note(uint64_t duration) {
  int power = duration < 128 ? 0 : 63 - __builtin_clzll(duration) - 7;
  measured.durations[(size_t)power * 128 + (duration >> power)]++;
  if (duration > measured.longest) measured.longest = duration;
}

/* Milliseconds below which `share` of all requests were. */
static double percentile(double share) {
  uint64_t seen = 0;
  for (size_t i = 0; i < durationsCount; i++) {
    seen += measured.durations[i];
    if (measured.durations[i] == 0 || (double)seen < share * (double)measured.requests) continue;
    size_t power = i < 256 ? 0 : i / 128 - 1;
    uint64_t least = (uint64_t)(i - power * 128) << power, step = (uint64_t)1 << power;
    uint64_t middle = least + (step - 1) / 2;
    return (double)(middle < measured.longest ? middle : measured.longest) / 1e6;
  }
  return 0;
}

static double cpuSecondsOf(clockid_t clock) {
  struct timespec time;
  if (clock_gettime(clock, &time) != 0) fail("CPU time cannot be read: %s", strerror(errno));
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double serverCpuSeconds(void) {
  clockid_t clock;
  if (options.pid == 0) return 0;
  if (clock_getcpuclockid((pid_t)options.pid, &clock) != 0) fail("there is no process %" PRId64, options.pid);
  return cpuSecondsOf(clock);
}

static void startMeasuring(void) {
  memset(&measured, 0, sizeof measured);
  measured.serverCpu = serverCpuSeconds();
  measured.ownCpu = cpuSecondsOf(CLOCK_PROCESS_CPUTIME_ID);
  measured.startedAt = now();
}

/* `errorCode` 0 is none. */
static void report(int errorCode) {
  double seconds = (double)(now() - measured.startedAt) / 1e9;
  double ownCpu = cpuSecondsOf(CLOCK_PROCESS_CPUTIME_ID) - measured.ownCpu, serverCpu = serverCpuSeconds() - measured.serverCpu;
  printf("{\"requests\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"seconds\":%.6f,", measured.requests, measured.bytes, seconds);
  printf("\"requestsPerSecond\":%.1f,\"megabytesPerSecond\":%.3f,", (double)measured.requests / seconds, (double)measured.bytes / seconds / 1e6);
  printf("\"latencyMs\":{\"p50\":%.4f,\"p99\":%.4f,\"p999\":%.4f,\"max\":%.4f},", percentile(0.5), percentile(0.99), percentile(0.999),
         (double)measured.longest / 1e6);
  printf("\"ownCpuSeconds\":%.6f,", ownCpu);
  if (options.pid != 0) printf("\"serverCpuSeconds\":%.6f,", serverCpu);
  if (errorCode == 0) puts("\"errors\":{}}");
  else printf("\"errors\":{\"%d\":1}}\n", errorCode);
  fflush(stdout);
}

static const char *errorName(int code) {
  static const struct {
    int code;
    const char *name;
  } names[] = {
    {-1, "UNKNOWN_SERVER_ERROR"}, {1, "OFFSET_OUT_OF_RANGE"}, {2, "CORRUPT_MESSAGE"}, {3, "UNKNOWN_TOPIC_OR_PARTITION"},
    {5, "LEADER_NOT_AVAILABLE"}, {6, "NOT_LEADER_OR_FOLLOWER"}, {7, "REQUEST_TIMED_OUT"}, {10, "MESSAGE_TOO_LARGE"},
    {18, "RECORD_LIST_TOO_LARGE"}, {19, "NOT_ENOUGH_REPLICAS"}, {20, "NOT_ENOUGH_REPLICAS_AFTER_APPEND"}, {29, "TOPIC_AUTHORIZATION_FAILED"},
    {32, "INVALID_TIMESTAMP"}, {35, "UNSUPPORTED_VERSION"}, {56, "KAFKA_STORAGE_ERROR"}, {87, "INVALID_RECORD"},
  };
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (names[i].code == code) return names[i].name;
  return "an error of Kafka";
}

/* --- connections ------------------------------------------------------------------------------------------------------------------ */

typedef struct {
  int fd, partition;
  Row row;
  /* Bytes of requests that wait to be sent, and where in the row the next one of them stands. */
  size_t unsent, sentTo;
  bool waitsToSend;
  /* When each unanswered request was made, the oldest at `oldest`. */
  uint64_t *begun;
  int oldest, unanswered;
  /* Of the answer that is coming in. */
  size_t frameBytes, seenBytes;
  uint8_t head[headBytesMax];
  /* Of the batch that is coming in. */
  uint8_t batchHead[27];
  size_t batchHeadSeen, batchLeft;
  int64_t batchBytes, batchEnd;
  /* Of a fetch: whole batches of this answer, what follows them, and the log's end. */
  int64_t wholeBytes, nextOffset, highWatermark;
} Client;

static int poller;
static bool sends = true;
static size_t headBytes;

static const char *requestName(void) { return options.fetches ? "Fetch" : "Produce"; }

static void watch(Client *client, int operation) {
  struct epoll_event event = {.events = EPOLLIN | (client->waitsToSend ? EPOLLOUT : 0), .data.ptr = client};
  if (epoll_ctl(poller, operation, client->fd, &event) != 0) fail("epoll_ctl: %s", strerror(errno));
}

static void sendMore(Client *client) {
  bool blocked = false;
  while (client->unsent > 0 && !blocked) {
    size_t length = client->row.length - client->sentTo;
    if (length > client->unsent) length = client->unsent;
    ssize_t sent = send(client->fd, client->row.bytes + client->sentTo, length, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) fail("the broker closed a connection: %s", strerror(errno));
    blocked = sent < 0 && errno == EAGAIN;
    if (sent < 0) continue;
    client->unsent -= (size_t)sent;
    /* All copies are alike. */
    client->sentTo = (client->sentTo + (size_t)sent) % client->row.frameBytes;
  }
  if (blocked == client->waitsToSend) return;
  client->waitsToSend = blocked;
  watch(client, EPOLL_CTL_MOD);
}

static void request(Client *client, uint64_t at) {
  client->begun[(client->oldest + client->unanswered) % options.inFlight] = at;
  client->unanswered++;
  client->unsent += client->row.frameBytes;
}

/* The fields in front of what one partition was answered, checked; where the error code stands. */
static size_t partitionAt(const Client *client, size_t at) {
  const uint8_t *head = client->head;
  size_t topicBytes = strlen(options.topic);
  if (get32(head + at) != 1 || get16(head + at + 4) != (int16_t)topicBytes || memcmp(head + at + 6, options.topic, topicBytes) != 0 ||
      get32(head + at + 6 + topicBytes) != 1 || get32(head + at + 10 + topicBytes) != client->partition)
    fail("an answer to %s is about something else than was asked", requestName());
  return at + 4 + 2 + topicBytes + 4 + 4;
}

static void refuse(const Client *client, int code) {
  if (code == 0) return;
  report(code);
  fail("%s of %s-%d was answered with error %d (%s)", requestName(), options.topic, client->partition, code, errorName(code));
}

/* length i32 | correlation i32 | topics i32: name, partitions i32: index i32, error i16, ...
 * Fetch has throttle i32, error i16, session i32 before the topics, and behind its second error the high watermark i64, last stable offset i64,
 * log start i64, aborted i32, preferred replica i32, length i32 of the records */
static void readHead(Client *client) {
  const uint8_t *head = client->head;
  if (client->frameBytes < headBytes) {
    if (options.fetches && client->frameBytes >= 14) refuse(client, get16(head + 12));
    fail("an answer to %s has %zu bytes, fewer than it must have", requestName(), client->frameBytes);
  }
  if (!options.fetches) return refuse(client, get16(head + partitionAt(client, 8)));
  refuse(client, get16(head + 12));
  size_t at = partitionAt(client, 18);
  refuse(client, get16(head + at));
  client->highWatermark = (int64_t)get(head + at + 2, 8);
  if (get32(head + at + 26) > 0) fail("the log has aborted transactions, which this program does not know");
}

/* Bytes of batches: only their heads are looked at. */
static void walk(Client *client, const uint8_t *bytes, size_t length) {
  while (length > 0) {
    size_t part;
    if (client->batchLeft > 0) {
      part = client->batchLeft < length ? client->batchLeft : length;
      client->batchLeft -= part;
      if (client->batchLeft == 0) {
        client->wholeBytes += client->batchBytes;
        client->nextOffset = client->batchEnd;
      }
    } else {
      size_t missing = sizeof client->batchHead - client->batchHeadSeen;
      part = missing < length ? missing : length;
      memcpy(client->batchHead + client->batchHeadSeen, bytes, part);
      client->batchHeadSeen += part;
      if (part == missing) {
        client->batchHeadSeen = 0;
        client->batchBytes = 12 + get32(client->batchHead + 8);
        if (client->batchBytes < batchHeaderBytes || client->batchHead[16] != 2) fail("an answer to Fetch has something else than batches");
        client->batchLeft = (size_t)client->batchBytes - sizeof client->batchHead;
        client->batchEnd = (int64_t)get(client->batchHead, 8) + get32(client->batchHead + 23) + 1;
      }
    }
    bytes += part;
    length -= part;
  }
}

static void fetched(Client *client) {
  if (client->wholeBytes == 0 && client->nextOffset == options.from)
    fail("%s-%d has nothing to fetch from offset %" PRId64 " on", options.topic, client->partition, options.from);
  measured.bytes += (uint64_t)client->wholeBytes;
  if (client->wholeBytes == 0 || client->nextOffset >= client->highWatermark) client->nextOffset = options.from;
  put(client->row.bytes + fetchOffsetAt, (uint64_t)client->nextOffset, 8);
  client->wholeBytes = 0;
  /* The last batch may have been cut off. */
  client->batchHeadSeen = client->batchLeft = 0;
}

static void answered(Client *client, uint64_t at) {
  if (client->unanswered == 0) fail("an answer came that nobody asked for");
  note(at - client->begun[client->oldest]);
  client->oldest = (client->oldest + 1) % (int)options.inFlight;
  client->unanswered--;
  measured.requests++;
  if (options.fetches) fetched(client);
  else measured.bytes += client->row.batchBytes;
  client->frameBytes = client->seenBytes = 0;
  if (sends) request(client, at);
}

static void take(Client *client, const uint8_t *bytes, size_t length, uint64_t at) {
  while (length > 0) {
    size_t part;
    size_t wanted = client->frameBytes == 0 ? 4 : client->frameBytes < headBytes ? client->frameBytes : headBytes;
    if (client->seenBytes < wanted) {
      part = wanted - client->seenBytes < length ? wanted - client->seenBytes : length;
      memcpy(client->head + client->seenBytes, bytes, part);
      client->seenBytes += part;
      if (client->frameBytes == 0 && client->seenBytes == 4) {
        if (get32(client->head) < 4) fail("an answer has a length of %d", get32(client->head));
        client->frameBytes = 4 + (size_t)get32(client->head);
      } else if (client->seenBytes == wanted && wanted > 4) readHead(client);
    } else {
      part = client->frameBytes - client->seenBytes < length ? client->frameBytes - client->seenBytes : length;
      if (options.fetches) walk(client, bytes, part);
      client->seenBytes += part;
    }
    bytes += part;
    length -= part;
    if (client->frameBytes > 0 && client->seenBytes == client->frameBytes) answered(client, at);
  }
}

static void readMore(Client *client) {
  ssize_t length = recv(client->fd, readBuffer, sizeof readBuffer, MSG_DONTWAIT);
  if (length < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (length < 0) fail("the broker closed a connection: %s", strerror(errno));
  if (length == 0) fail("the broker closed a connection");
  take(client, readBuffer, (size_t)length, now());
}

static int dial(void) {
  struct addrinfo wanted = {.ai_socktype = SOCK_STREAM}, *found;
  int error = getaddrinfo(options.host, options.port, &wanted, &found), one = 1;
  if (error != 0) fail("%s: %s", options.host, gai_strerror(error));
  int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("no socket: %s", strerror(errno));
  if (connect(fd, found->ai_addr, found->ai_addrlen) != 0) fail("cannot connect to %s:%s: %s", options.host, options.port, strerror(errno));
  freeaddrinfo(found);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return fd;
}

/* Asks what the broker serves, before anything else. */
static void refuseUnknownVersions(void) {
  uint8_t frame[64], answer[4096];
  int fd = dial();
  struct timeval patience = {.tv_sec = (time_t)patienceSeconds};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  size_t length = endRequest(frame, beginRequest(frame, apiVersionsKey, 0)), have = 0;
  if (send(fd, frame, length, MSG_NOSIGNAL) != (ssize_t)length) fail("the broker takes no request: %s", strerror(errno));
  while (have < 4 || have < 4 + (size_t)get32(answer)) {
    ssize_t more = have < sizeof answer ? recv(fd, answer + have, sizeof answer - have, 0) : 0;
    if (more <= 0) fail("the broker does not say what it serves");
    have += (size_t)more;
  }
  close(fd);
  int key = options.fetches ? fetchKey : produceKey, version = options.fetches ? fetchVersion : produceVersion;
  /* length i32 | correlation i32 | error i16 | count i32: key i16, least i16, greatest i16 */
  for (size_t at = 14; at + 6 <= have; at += 6) {
    if (get16(answer + at) != key) continue;
    int least = get16(answer + at + 2), greatest = get16(answer + at + 4);
    if (least <= version && version <= greatest) return;
    fail("the broker serves %s from version %d to %d; this program speaks %d", requestName(), least, greatest, version);
  }
  fail("the broker does not serve %s", requestName());
}

static void join(Client *client, int number, Row *rows) {
  client->partition = (int)(number % options.partitions);
  client->row = options.fetches ? fetchRow(client->partition) : rows[client->partition];
  client->begun = allocate((size_t)options.inFlight * sizeof *client->begun);
  client->nextOffset = options.from;
  client->fd = dial();
  watch(client, EPOLL_CTL_ADD);
}

/* --- the run ---------------------------------------------------------------------------------------------------------------------- */

/* One look at all connections, of at most `milliseconds`; whether anything came. */
static bool turn(int milliseconds) {
  struct epoll_event events[eventsMax];
  int count = epoll_wait(poller, events, eventsMax, milliseconds);
  if (count < 0 && errno != EINTR) fail("epoll_wait: %s", strerror(errno));
  for (int i = 0; i < count; i++) {
    Client *client = events[i].data.ptr;
    if (events[i].events & ~(uint32_t)EPOLLOUT) readMore(client);
    sendMore(client);
  }
  return count > 0;
}

static void runFor(double seconds, double bytesMax) {
  startMeasuring();
  uint64_t end = measured.startedAt + (uint64_t)(seconds * 1e9), heardAt = measured.startedAt;
  for (uint64_t at = heardAt; at < end && (double)measured.bytes < bytesMax; at = now()) {
    if (turn((int)((end - at) / 1000000) + 1)) heardAt = now();
    else if (now() - heardAt > patienceSeconds * second) fail("no answer for %" PRIu64 " s", patienceSeconds);
  }
}

/* Hears what is still under way, so that it does not burden what is measured next. */
static void finish(Client *clients) {
  sends = false;
  uint64_t begun = now();
  for (int i = 0; i < options.connections; i++)
    while (clients[i].unanswered > 0 && now() - begun < 5 * second) turn(100);
}

static void takeTopic(const char *name) {
  if (strlen(name) == 0 || strlen(name) > topicBytesMax) fail("--topic must be a name of at most %d bytes", topicBytesMax);
  strcpy(options.topic, name);
}

static void takeAcks(const char *text) {
  if (strcmp(text, "1") != 0 && strcmp(text, "all") != 0) fail("--acks must be 1 or all, not %s", text);
  options.acks = *text == '1' ? 1 : -1;
}

static void takeAddress(const char *address) {
  const char *colon = strrchr(address, ':');
  size_t hostBytes = colon == NULL ? 0 : (size_t)(colon - address);
  if (hostBytes == 0 || hostBytes >= sizeof options.host || strlen(colon + 1) == 0 || strlen(colon + 1) >= sizeof options.port)
    fail("the address must be HOST:PORT, not %s", address);
  memcpy(options.host, address, hostBytes);
  strcpy(options.port, colon + 1);
}

enum { both, produceOnly, fetchOnly };

static const struct {
  const char *name;
  int use;
  int64_t *number, least, greatest;
  double *seconds;
  void (*take)(const char *text);
} known[] = {
  {"topic", both, .take = takeTopic},
  {"partitions", both, .number = &options.partitions, .least = 1, .greatest = 100000},
  {"connections", both, .number = &options.connections, .least = 1, .greatest = 100000},
  {"seconds", both, .seconds = &options.seconds},
  {"warm-up", both, .seconds = &options.warmUpSeconds},
  {"bytes", both, .number = &options.bytesMax, .least = 1, .greatest = INT64_MAX},
  {"pid", both, .number = &options.pid, .least = 1, .greatest = INT32_MAX},
  {"in-flight", produceOnly, .number = &options.inFlight, .least = 1, .greatest = 100000},
  {"batch", produceOnly, .number = &options.batchBytes, .least = 1, .greatest = 64 << 20},
  {"value", produceOnly, .number = &options.valueBytes, .least = 0, .greatest = 64 << 20},
  {"acks", produceOnly, .take = takeAcks},
  {"max-bytes", fetchOnly, .number = &options.maxBytes, .least = 1, .greatest = 1 << 30},
  {"from", fetchOnly, .number = &options.from, .least = 0, .greatest = INT64_MAX},
};

static void readOption(const char *word) {
  const char *equals = strchr(word, '=');
  size_t length = equals == NULL ? 0 : (size_t)(equals - word), i = 0, count = sizeof known / sizeof *known;
  while (i < count && (strlen(known[i].name) + 2 != length || strncmp(word + 2, known[i].name, length - 2) != 0)) i++;
  if (i == count || strncmp(word, "--", 2) != 0) fail("%s is no option, or lacks =VALUE; --help lists them", word);
  if (known[i].use == (options.fetches ? produceOnly : fetchOnly)) fail("--%s is for %s only", known[i].name, options.fetches ? "produce" : "fetch");
  const char *value = equals + 1;
  char *end;
  errno = 0;
  if (known[i].take != NULL) return known[i].take(value);
  if (known[i].seconds != NULL) {
    *known[i].seconds = strtod(value, &end);
    if (end != value && *end == 0 && *known[i].seconds >= 0 && *known[i].seconds <= 86400) return;
    fail("--%s must be a number of seconds, at most a day, not %s", known[i].name, value);
  }
  int64_t number = strtoll(value, &end, 10), factor = *end == 'K' ? 1 << 10 : *end == 'M' ? 1 << 20 : *end == 'G' ? 1 << 30 : 1;
  if (end == value || end[factor > 1] != 0 || errno != 0 || number < 0 || number > known[i].greatest / factor || number * factor < known[i].least)
    fail("--%s must be a number from %" PRId64 " to %" PRId64 ", not %s", known[i].name, known[i].least, known[i].greatest, value);
  *known[i].number = number * factor;
}

static void readOptions(int count, char **words) {
  options.fetches = count > 1 && strcmp(words[1], "fetch") == 0;
  if (!options.fetches && (count < 2 || strcmp(words[1], "produce") != 0)) fail("say produce or fetch first; --help says more");
  if (count < 3 || words[2][0] == '-') fail("say HOST:PORT behind %s; --help says more", words[1]);
  takeAddress(words[2]);
  for (int i = 3; i < count; i++) readOption(words[i]);
  if (options.topic[0] == 0) fail("--topic is missing");
}

int main(int count, char **words) {
  for (int i = 1; i < count; i++) {
    if (strcmp(words[i], "--help") != 0) continue;
    fputs(help, stdout);
    return 0;
  }
  readOptions(count, words);
  refuseUnknownVersions();
  headBytes = (options.fetches ? 18 : 8) + 4 + 2 + strlen(options.topic) + 4 + 4 + 2 + (options.fetches ? 36 : 0);
  poller = epoll_create1(EPOLL_CLOEXEC);
  if (poller < 0) fail("no epoll: %s", strerror(errno));
  Row *rows = allocate((size_t)options.partitions * sizeof *rows);
  for (int i = 0; !options.fetches && i < options.partitions && i < options.connections; i++) rows[i] = produceRow(i);
  Client *clients = allocate((size_t)options.connections * sizeof *clients);
  for (int i = 0; i < options.connections; i++) join(clients + i, i, rows);
  for (int i = 0; i < options.connections; i++) {
    for (int j = 0; j < options.inFlight; j++) request(clients + i, now());
    sendMore(clients + i);
  }
  runFor(options.warmUpSeconds, (double)options.bytesMax / 4);
  runFor(options.seconds, (double)options.bytesMax);
  report(0);
  finish(clients);
  return 0;
}

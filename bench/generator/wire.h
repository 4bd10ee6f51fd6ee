/*
 * Bytes of Kafka's wire as the load generator writes and reads them: numbers, strings, the frame of a request, a batch of records. Only layouts
 * before flexible versions.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { batchHeaderBytes = 61 };

__attribute__((noreturn, format(printf, 1, 2))) static void fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("generator: ", stderr);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  exit(1);
}

static void *allocate(size_t bytes) {
  void *memory = calloc(1, bytes);
  if (memory == NULL) fail("no memory for %zu bytes", bytes);
  return memory;
}

static void put(uint8_t *at, uint64_t value, int bytes) {
  for (int i = bytes; i > 0; i--, value >>= 8) at[i - 1] = (uint8_t)value;
}

static uint64_t get(const uint8_t *at, int bytes) {
  uint64_t value = 0;
  for (int i = 0; i < bytes; i++) value = value << 8 | at[i];
  return value;
}

static int32_t get32(const uint8_t *at) { return (int32_t)get(at, 4); }
static int16_t get16(const uint8_t *at) { return (int16_t)get(at, 2); }

static uint8_t *writeInt(uint8_t *at, int64_t value, int bytes) {
  put(at, (uint64_t)value, bytes);
  return at + bytes;
}

static uint8_t *writeString(uint8_t *at, const char *text) {
  size_t length = strlen(text);
  at = writeInt(at, (int64_t)length, 2);
  memcpy(at, text, length);
  return at + length;
}

static uint8_t *writeVarint(uint8_t *at, int64_t value) {
  uint64_t rest = ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
  for (; rest >= 0x80; rest >>= 7) *at++ = (uint8_t)(rest | 0x80);
  *at++ = (uint8_t)rest;
  return at;
}

/* length i32 | key i16 | version i16 | correlation i32 | client string | body */
static uint8_t *beginRequest(uint8_t *at, int key, int version) {
  at = writeInt(at + 4, key, 2);
  at = writeInt(at, version, 2);
  at = writeInt(at, 1, 4);
  return writeString(at, "generator");
}

static size_t endRequest(uint8_t *begin, uint8_t *end) {
  put(begin, (uint64_t)(end - begin - 4), 4);
  return (size_t)(end - begin);
}

/* Castagnoli's polynomial, reflected. */
static uint32_t crc32c(const uint8_t *bytes, size_t length) {
  uint32_t crc = ~0u;
  for (size_t i = 0; i < length; i++) {
    crc ^= bytes[i];
    for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
  }
  return ~crc;
}

/* length varint | attributes i8 | timestamp delta varint | offset delta varint | no key | value | no headers */
static uint8_t *writeRecord(uint8_t *at, int64_t offsetDelta, int64_t valueBytes) {
  static const char text[] = "a log is a row of records. ";
  uint8_t body[32], *end = body;
  *end++ = 0;
  end = writeVarint(end, 0);
  end = writeVarint(end, offsetDelta);
  end = writeVarint(end, -1);
  end = writeVarint(end, valueBytes);
  at = writeVarint(at, end - body + valueBytes + 1);
  memcpy(at, body, (size_t)(end - body));
  at += end - body;
  for (int64_t i = 0; i < valueBytes; i++) *at++ = (uint8_t)text[(size_t)i % (sizeof text - 1)];
  return writeVarint(at, 0);
}

/* As many records as fit into `bytesMax`, at least one. Magic 2: offset i64 | length i32 | leader epoch i32 | magic i8 | crc u32 of all that follows | attributes i16 | last offset delta i32 |
 * first and largest timestamp i64 | producer id i64, epoch i16, sequence i32 | count i32 | records */
static uint8_t *writeBatch(uint8_t *at, int64_t bytesMax, int64_t valueBytes) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  int64_t nowMs = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
  /* Around each value: at most 5 bytes of its length, 5 of the record's, 5 of the offset delta, 4 more. */
  enum { recordOverheadMax = 19 };
  int64_t count = 0;
  uint8_t *records = at + batchHeaderBytes, *end = records;
  uint8_t *spare = allocate((size_t)valueBytes + recordOverheadMax);
  do {
    end = writeRecord(end, count++, valueBytes);
  } while (end - at + (writeRecord(spare, count, valueBytes) - spare) <= bytesMax);
  free(spare);
  writeInt(at, 0, 8);
  writeInt(at + 8, end - at - 12, 4);
  writeInt(at + 12, -1, 4);
  at[16] = 2;
  writeInt(at + 21, 0, 2);
  writeInt(at + 23, count - 1, 4);
  writeInt(at + 27, nowMs, 8);
  writeInt(at + 35, nowMs, 8);
  writeInt(at + 43, -1, 8);
  writeInt(at + 51, -1, 2);
  writeInt(at + 53, -1, 4);
  writeInt(at + 57, count, 4);
  put(at + 17, crc32c(at + 21, (size_t)(end - at - 21)), 4);
  return end;
}

/*
 * What the disk takes from a program that does nothing else: writes of one size behind each other, with an fdatasync after every so many.
 * Enters: PATH BYTES SYNC_EVERY SECONDS BYTES_MAX; SYNC_EVERY 0 is never. Leaves: one line of JSON; the file is removed.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static double seconds(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int failed(const char *what) {
  fprintf(stderr, "bare: ");
  perror(what);
  return 1;
}

int main(int count, char **words) {
  if (count != 6) {
    fputs("usage: bare PATH BYTES SYNC_EVERY SECONDS BYTES_MAX\n", stderr);
    return 1;
  }
  const char *path = words[1];
  size_t bytes = strtoull(words[2], NULL, 10);
  uint64_t syncEvery = strtoull(words[3], NULL, 10), writes = 0;
  double wanted = strtod(words[4], NULL), bytesMax = strtod(words[5], NULL), passed = 0;
  char *piece = malloc(bytes);
  if (piece == NULL) return failed("malloc");
  memset(piece, 'x', bytes);
  int file = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600);
  if (file < 0) return failed(path);
  double cpuBefore = seconds(CLOCK_PROCESS_CPUTIME_ID), start = seconds(CLOCK_MONOTONIC);
  while (passed < wanted && (double)writes * (double)bytes < bytesMax) {
    if (write(file, piece, bytes) != (ssize_t)bytes) return failed("write");
    writes++;
    if (syncEvery > 0 && writes % syncEvery == 0 && fdatasync(file) != 0) return failed("fdatasync");
    passed = seconds(CLOCK_MONOTONIC) - start;
  }
  double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpuBefore;
  close(file);
  unlink(path);
  printf("{\"writes\":%" PRIu64 ",\"seconds\":%.6f,\"cpuSeconds\":%.6f}\n", writes, passed, cpu);
  return 0;
}

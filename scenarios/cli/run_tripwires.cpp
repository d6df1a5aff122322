#define OPENSSL_SUPPRESS_DEPRECATED  // RAND_METHOD: the one way to catch every draw of OpenSSL
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <openssl/rand.h>
#include <sodium.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "scenarios/cli/run_job.hpp"

namespace wa::cli {

namespace {

[[noreturn]] void trip(const char* what) {
  const char* text = "testline: a simulation drew entropy from the system through ";
  static_cast<void>(!write(2, text, std::strlen(text)));
  static_cast<void>(!write(2, what, std::strlen(what)));
  static_cast<void>(!write(2, "\n", 1));
  std::abort();
}

const char* sodium_name() {
  return "tripwire";
}
std::uint32_t sodium_random() {
  trip("libsodium");
}
void sodium_stir() {}
std::uint32_t sodium_uniform(std::uint32_t) {
  trip("libsodium");
}
void sodium_buffer(void*, std::size_t) {
  trip("libsodium");
}
int sodium_close() {
  return 0;
}
randombytes_implementation sodium_tripwire = {sodium_name,    sodium_random, sodium_stir,
                                              sodium_uniform, sodium_buffer, sodium_close};

int openssl_seed(const void*, int) {
  return 1;
}
int openssl_bytes(unsigned char*, int) {
  trip("OpenSSL");
}
void openssl_cleanup() {}
int openssl_add(const void*, int, double) {
  return 1;
}
int openssl_status() {
  return 1;
}
constexpr RAND_METHOD kOpensslTripwire = {openssl_seed, openssl_bytes, openssl_cleanup,
                                          openssl_add,  openssl_bytes, openssl_status};

/// socket() ends the process. Where filters are not allowed, this check is missing, nothing else.
void forbid_sockets() {
  sock_filter rules[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offsetof(seccomp_data, nr))),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  sock_fprog program{static_cast<unsigned short>(std::size(rules)), rules};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return;
  static_cast<void>(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0));
}

}  // namespace

void install_tripwires() {
  // It draws once, for the canaries of its allocator.
  WA_ASSERT(sodium_init() >= 0);
  WA_ASSERT(randombytes_set_implementation(&sodium_tripwire) == 0);
  WA_ASSERT(RAND_set_rand_method(&kOpensslTripwire) == 1);
  forbid_sockets();
}

}  // namespace wa::cli

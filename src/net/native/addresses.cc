#include "addresses.hh"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "napi-help.hh"

namespace switchyard {

namespace {

struct Address {
  sockaddr_storage bytes{};
  socklen_t length = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&bytes); }
};

// How a silent connection is tested: as libuv does for those of Node.
constexpr int kKeepAliveIntervalSeconds = 1;
constexpr int kKeepAliveCount = 10;
// Length of an IPv6 address with a zone behind it: fe80::1%eth0.
constexpr size_t kAddressMax = INET6_ADDRSTRLEN + 1 + IF_NAMESIZE;

bool Read(napi_env env, napi_value host, napi_value port, Address* address) {
  char text[kAddressMax] = "";
  size_t size = 0;
  uint32_t number = 0;
  napi_get_value_string_utf8(env, host, text, sizeof text, &size);
  napi_get_value_uint32(env, port, &number);
  if (number > 65535) return false;
  auto* in = reinterpret_cast<sockaddr_in*>(&address->bytes);
  if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
    in->sin_family = AF_INET;
    in->sin_port = htons(static_cast<uint16_t>(number));
    address->length = sizeof *in;
    return true;
  }
  auto* in6 = reinterpret_cast<sockaddr_in6*>(&address->bytes);
  char* zone = strchr(text, '%');
  if (zone != nullptr) {
    *zone = '\0';
    zone += 1;
    in6->sin6_scope_id = if_nametoindex(zone);
    if (in6->sin6_scope_id == 0) in6->sin6_scope_id = static_cast<uint32_t>(strtoul(zone, nullptr, 10));
  }
  if (inet_pton(AF_INET6, text, &in6->sin6_addr) != 1) return false;
  in6->sin6_family = AF_INET6;
  in6->sin6_port = htons(static_cast<uint16_t>(number));
  address->length = sizeof *in6;
  return true;
}

napi_value CloseAndThrow(napi_env env, int fd, int error) {
  if (fd >= 0) ::close(fd);
  return Throw(env, error);
}

}  // namespace

napi_value Listen(napi_env env, napi_callback_info info) {
  size_t argc = 3;
  napi_value argv[3] = {};
  napi_get_cb_info(env, info, &argc, argv, nullptr, nullptr);
  Address address;
  int32_t backlog = 0;
  napi_get_value_int32(env, argv[2], &backlog);
  if (!Read(env, argv[0], argv[1], &address)) return Throw(env, EINVAL);
  const int family = address.bytes.ss_family;
  int fd = ::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return Throw(env, errno);
  const int on = 1;
  const int off = 0;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  // Whoever listens on :: listens everywhere, whatever the system's default is.
  if (family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  if (::bind(fd, address.get(), address.length) != 0 || ::listen(fd, backlog) != 0) return CloseAndThrow(env, fd, errno);
  return Number(env, fd);
}

napi_value Connect(napi_env env, napi_callback_info info) {
  size_t argc = 2;
  napi_value argv[2] = {};
  napi_get_cb_info(env, info, &argc, argv, nullptr, nullptr);
  Address address;
  if (!Read(env, argv[0], argv[1], &address)) return Throw(env, EINVAL);
  int fd = ::socket(address.bytes.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return Throw(env, errno);
  if (::connect(fd, address.get(), address.length) != 0 && errno != EINPROGRESS) return CloseAndThrow(env, fd, errno);
  return Number(env, fd);
}

napi_value PortOf(napi_env env, napi_callback_info info) {
  size_t argc = 1;
  napi_value argument = nullptr;
  int32_t fd = -1;
  napi_get_cb_info(env, info, &argc, &argument, nullptr, nullptr);
  napi_get_value_int32(env, argument, &fd);
  sockaddr_storage own{};
  socklen_t length = sizeof own;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&own), &length) != 0) return Throw(env, errno);
  return Number(env, ntohs(own.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6*>(&own)->sin6_port
                                                     : reinterpret_cast<sockaddr_in*>(&own)->sin_port));
}

napi_value Tune(napi_env env, napi_callback_info info) {
  size_t argc = 2;
  napi_value argv[2] = {};
  napi_get_cb_info(env, info, &argc, argv, nullptr, nullptr);
  int32_t fd = -1;
  int32_t keep_alive_ms = 0;
  napi_get_value_int32(env, argv[0], &fd);
  napi_get_value_int32(env, argv[1], &keep_alive_ms);
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (keep_alive_ms > 0) {
    const int idle_seconds = keep_alive_ms < 1000 ? 1 : keep_alive_ms / 1000;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &kKeepAliveIntervalSeconds, sizeof kKeepAliveIntervalSeconds);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &kKeepAliveCount, sizeof kKeepAliveCount);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_seconds, sizeof idle_seconds);
  }
  return nullptr;
}

}  // namespace switchyard

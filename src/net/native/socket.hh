// A TCP socket on the loop of its environment: a connection, one that is being made, or one that listens.
#pragma once

#include "host.hh"
#include "outbox.hh"

namespace switchyard {

class Socket {
 public:
  // The class of JavaScript whose objects these are.
  static napi_value Define(napi_env env);

  // The object, as long as it is open.
  napi_value Self() const;
  void Close();

 private:
  friend class Instance;
  enum class Role { kConnection, kConnecting, kListening };

  Socket(Host* host, int fd) : host_(host), fd_(fd) {}

  static napi_value Construct(napi_env env, napi_callback_info info);
  static napi_value SetReading(napi_env env, napi_callback_info info);
  static napi_value Send(napi_env env, napi_callback_info info);
  static napi_value Shutdown(napi_env env, napi_callback_info info);
  static napi_value CloseIt(napi_env env, napi_callback_info info);
  static napi_value Unref(napi_env env, napi_callback_info info);
  static napi_value Listen(napi_env env, napi_callback_info info);
  static napi_value ExpectConnection(napi_env env, napi_callback_info info);
  static Socket* From(napi_env env, napi_callback_info info, size_t* argc = nullptr, napi_value* argv = nullptr);
  static void OnPoll(uv_poll_t* poll, int status, int events);
  static void OnClosed(uv_handle_t* handle);

  int Wanted() const;
  // Has the loop watch what is wanted now.
  void Watch();
  // The same, and nothing else.
  void WatchOnly();
  void Happened(int events);
  // Offers bytes to the kernel; gives how many it took.
  size_t Offer(const uint8_t* bytes, size_t size);
  size_t Write(const uint8_t* bytes, size_t size);
  void Flush();
  void Read();
  // The peer has ended its sending side, and nothing is unread.
  bool HasEnded() const;
  void End();
  void Accept();
  void Connected();
  void Fail(int error);

  Instance* instance() const { return host_->instance(); }

  Host* host_;
  int fd_;
  uv_poll_t poll_;
  napi_ref self_ = nullptr;
  Outbox out_;
  Role role_ = Role::kConnection;
  // What the loop watches: UV_READABLE, UV_WRITABLE, UV_DISCONNECT.
  int watched_ = 0;
  bool reads_ = false;
  // Why nothing more can be sent (errno); 0: it can.
  int broken_ = 0;
  // Nothing more can be read: its end or its error was told.
  bool is_over_ = false;
  // The peer has ended its sending side, or more; what it has sent before may not be read yet.
  bool has_hung_up_ = false;
  bool is_closed_ = false;
  // Both have let go of it: the loop, and the garbage collector.
  bool is_released_ = false;
  bool is_collected_ = false;
  Socket* next_ = nullptr;
  Socket* previous_ = nullptr;
};

}  // namespace switchyard

// What one environment of Node (the program, or a worker) has of the addon. Nothing is shared between environments.
#pragma once

#include <node_api.h>
#include <uv.h>

namespace switchyard {

class Socket;

class Instance {
 public:
  static Instance* Of(napi_env env);
  // Makes it, and sees to its end. Null: an exception is pending.
  static Instance* Begin(napi_env env);

  napi_env env() const { return env_; }
  uv_loop_t* loop() const { return loop_; }

  // No JavaScript may be called any more.
  bool is_ending() const { return is_ending_; }

  // One descriptor in reserve: where there are no more, a connection can still be accepted in order to be closed.
  void KeepSpare();
  bool DropOneConnection(int listening);

  // Its environment and each host hold it.
  void Hold() { holders_ += 1; }
  void Release();

  // The handles that the loop still has; the environment must not end before they are closed.
  void Add(Socket* socket);
  void Remove(Socket* socket);

 private:
  explicit Instance(napi_env env) : env_(env) {}
  static void CleanUp(napi_async_cleanup_hook_handle hook, void* data);
  void EndIfEmpty();

  napi_env env_;
  uv_loop_t* loop_ = nullptr;
  int spare_ = -1;
  Socket* first_ = nullptr;
  int holders_ = 1;
  bool is_ending_ = false;
  napi_async_cleanup_hook_handle hook_ = nullptr;
};

}  // namespace switchyard

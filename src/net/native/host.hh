// Whom sockets tell what happens, and where lies what they read: one for each engine.
#pragma once

#include <cstddef>
#include <cstdint>

#include "instance.hh"

namespace switchyard {

// What JavaScript is told about a socket: `dispatch(socket, event, a, b, text)`. The same numbers are in addon.ts.
enum class Event : int32_t {
  kChunk = 0,      // a: offset in the slab, b: bytes
  kDrain = 1,      // all that waited is with the kernel
  kEnd = 2,        // the peer has ended its sending side
  kError = 3,      // a: errno, text: its name
  kConnected = 4,
  kAccepted = 5,   // a: descriptor, b: port of the peer, text: its address
};

class Host {
 public:
  // The class of JavaScript whose objects these are.
  static napi_value Define(napi_env env);
  static Host* From(napi_env env, napi_value object);

  Instance* instance() const { return instance_; }
  void Tell(Socket* socket, Event event, uint32_t a = 0, uint32_t b = 0, const char* text = nullptr);

  // Room for one read; null: there is none (no memory). What was read is then taken with `Take`, which gives its offset in the slab.
  uint8_t* Room(size_t* bytes);
  uint32_t Take(size_t bytes);

  // Its object and each of its sockets hold it.
  void Hold() { holders_ += 1; }
  void Release();

 private:
  explicit Host(Instance* instance) : instance_(instance) {}
  static napi_value Construct(napi_env env, napi_callback_info info);

  Instance* instance_;
  int holders_ = 1;
  napi_ref dispatch_ = nullptr;
  napi_ref make_slab_ = nullptr;
  napi_ref slab_ = nullptr;
  uint8_t* bytes_ = nullptr;
  size_t size_ = 0;
  size_t used_ = 0;
};

}  // namespace switchyard

#include "host.hh"

#include "napi-help.hh"
#include "socket.hh"

namespace switchyard {

namespace {

// A read needs at least so much room; with less left, a new slab is begun.
constexpr size_t kReadRoomMin = 16 * 1024;

}  // namespace

napi_value Host::Define(napi_env env) {
  napi_value value = nullptr;
  napi_define_class(env, "Host", NAPI_AUTO_LENGTH, Construct, nullptr, 0, nullptr, &value);
  return value;
}

Host* Host::From(napi_env env, napi_value object) {
  void* data = nullptr;
  napi_unwrap(env, object, &data);
  return static_cast<Host*>(data);
}

// new Host(dispatch, makeSlab)
napi_value Host::Construct(napi_env env, napi_callback_info info) {
  size_t argc = 2;
  napi_value argv[2] = {};
  napi_value self = nullptr;
  napi_get_cb_info(env, info, &argc, argv, &self, nullptr);
  auto* host = new Host(Instance::Of(env));
  host->instance_->Hold();
  napi_create_reference(env, argv[0], 1, &host->dispatch_);
  napi_create_reference(env, argv[1], 1, &host->make_slab_);
  napi_wrap(
      env, self, host, [](napi_env, void* data, void*) { static_cast<Host*>(data)->Release(); }, nullptr, nullptr);
  return self;
}

void Host::Release() {
  holders_ -= 1;
  if (holders_ > 0) return;
  // The references of an environment end with it.
  if (!instance_->is_ending()) {
    for (napi_ref reference : {dispatch_, make_slab_, slab_}) {
      if (reference != nullptr) napi_delete_reference(instance_->env(), reference);
    }
  }
  instance_->Release();
  delete this;
}

void Host::Tell(Socket* socket, Event event, uint32_t a, uint32_t b, const char* text) {
  if (instance_->is_ending()) return;
  napi_env env = instance_->env();
  napi_handle_scope scope;
  napi_open_handle_scope(env, &scope);
  napi_value self = socket->Self();
  napi_value dispatch = nullptr;
  napi_get_reference_value(env, dispatch_, &dispatch);
  if (self != nullptr && dispatch != nullptr) {
    napi_value arguments[5] = {self};
    napi_create_int32(env, static_cast<int32_t>(event), &arguments[1]);
    napi_create_uint32(env, a, &arguments[2]);
    napi_create_uint32(env, b, &arguments[3]);
    if (text == nullptr) napi_get_undefined(env, &arguments[4]);
    else napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &arguments[4]);
    // Runs what JavaScript has put off (ticks, microtasks) when it returns.
    if (napi_make_callback(env, nullptr, self, dispatch, 5, arguments, nullptr) == napi_pending_exception) {
      napi_value error = nullptr;
      napi_get_and_clear_last_exception(env, &error);
      napi_fatal_exception(env, error);
    }
  }
  napi_close_handle_scope(env, scope);
}

uint8_t* Host::Room(size_t* bytes) {
  if (size_ - used_ < kReadRoomMin) {
    napi_env env = instance_->env();
    napi_handle_scope scope;
    napi_open_handle_scope(env, &scope);
    napi_value make_slab = nullptr;
    napi_value global = nullptr;
    napi_value slab = nullptr;
    void* data = nullptr;
    size_t size = 0;
    napi_get_reference_value(env, make_slab_, &make_slab);
    napi_get_global(env, &global);
    bool is_made = napi_call_function(env, global, make_slab, 0, nullptr, &slab) == napi_ok &&
                   napi_get_buffer_info(env, slab, &data, &size) == napi_ok && size >= kReadRoomMin;
    if (is_made) {
      if (slab_ != nullptr) napi_delete_reference(env, slab_);
      napi_create_reference(env, slab, 1, &slab_);
      bytes_ = static_cast<uint8_t*>(data);
      size_ = size;
      used_ = 0;
    } else {
      napi_value error = nullptr;
      napi_get_and_clear_last_exception(env, &error);
    }
    napi_close_handle_scope(env, scope);
    if (!is_made) return nullptr;
  }
  *bytes = size_ - used_;
  return bytes_ + used_;
}

uint32_t Host::Take(size_t bytes) {
  auto at = static_cast<uint32_t>(used_);
  used_ += bytes;
  return at;
}

}  // namespace switchyard

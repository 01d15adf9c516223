#include "instance.hh"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "socket.hh"

namespace switchyard {

Instance* Instance::Of(napi_env env) {
  void* data = nullptr;
  napi_get_instance_data(env, &data);
  return static_cast<Instance*>(data);
}

Instance* Instance::Begin(napi_env env) {
  auto* instance = new Instance(env);
  if (napi_get_uv_event_loop(env, &instance->loop_) != napi_ok) {
    delete instance;
    napi_throw_error(env, nullptr, "this environment has no event loop");
    return nullptr;
  }
  napi_set_instance_data(env, instance, nullptr, nullptr);
  napi_add_async_cleanup_hook(env, CleanUp, instance, nullptr);
  return instance;
}

void Instance::KeepSpare() {
  if (spare_ < 0) spare_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
}

bool Instance::DropOneConnection(int listening) {
  if (spare_ < 0) return false;
  ::close(spare_);
  spare_ = -1;
  int fd = ::accept4(listening, nullptr, nullptr, SOCK_CLOEXEC);
  if (fd >= 0) ::close(fd);
  KeepSpare();
  return fd >= 0;
}

void Instance::Release() {
  holders_ -= 1;
  if (holders_ == 0) delete this;
}

void Instance::Add(Socket* socket) {
  socket->next_ = first_;
  socket->previous_ = nullptr;
  if (first_ != nullptr) first_->previous_ = socket;
  first_ = socket;
}

void Instance::Remove(Socket* socket) {
  if (socket->previous_ != nullptr) socket->previous_->next_ = socket->next_;
  else first_ = socket->next_;
  if (socket->next_ != nullptr) socket->next_->previous_ = socket->previous_;
  EndIfEmpty();
}

void Instance::CleanUp(napi_async_cleanup_hook_handle hook, void* data) {
  auto* instance = static_cast<Instance*>(data);
  instance->is_ending_ = true;
  instance->hook_ = hook;
  if (instance->spare_ >= 0) ::close(instance->spare_);
  for (Socket* socket = instance->first_; socket != nullptr; socket = socket->next_) socket->Close();
  instance->EndIfEmpty();
}

void Instance::EndIfEmpty() {
  if (hook_ == nullptr || first_ != nullptr) return;
  napi_remove_async_cleanup_hook(hook_);
  hook_ = nullptr;
  Release();
}

}  // namespace switchyard

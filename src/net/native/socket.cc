#include "socket.hh"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "napi-help.hh"

namespace switchyard {

namespace {

// Connections taken from one listener before others have their turn.
constexpr int kAcceptsPerTurn = 64;

bool IsBlocked(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

}  // namespace

napi_value Socket::Define(napi_env env) {
  napi_property_descriptor methods[] = {
      Method("setReading", SetReading), Method("send", Send),     Method("shutdown", Shutdown), Method("close", CloseIt),
      Method("unref", Unref),           Method("listen", Listen), Method("expectConnection", ExpectConnection),
  };
  napi_value value = nullptr;
  napi_define_class(env, "Socket", NAPI_AUTO_LENGTH, Construct, nullptr, sizeof methods / sizeof *methods, methods, &value);
  return value;
}

Socket* Socket::From(napi_env env, napi_callback_info info, size_t* argc, napi_value* argv) {
  napi_value self = nullptr;
  void* data = nullptr;
  napi_get_cb_info(env, info, argc, argv, &self, nullptr);
  napi_unwrap(env, self, &data);
  return static_cast<Socket*>(data);
}

// new Socket(host, descriptor): takes the descriptor over. It is neither read nor watched yet.
napi_value Socket::Construct(napi_env env, napi_callback_info info) {
  size_t argc = 2;
  napi_value argv[2] = {};
  napi_value self = nullptr;
  int32_t fd = -1;
  napi_get_cb_info(env, info, &argc, argv, &self, nullptr);
  napi_get_value_int32(env, argv[1], &fd);
  auto* socket = new Socket(Host::From(env, argv[0]), fd);
  int error = uv_poll_init(socket->instance()->loop(), &socket->poll_, fd);
  if (error != 0) {
    delete socket;
    ::close(fd);
    return Throw(env, -error);
  }
  socket->poll_.data = socket;
  socket->host_->Hold();
  socket->instance()->Add(socket);
  napi_wrap(
      env, self, socket,
      [](napi_env, void* data, void*) {
        auto* socket = static_cast<Socket*>(data);
        socket->is_collected_ = true;
        if (socket->is_released_) delete socket;
      },
      nullptr, nullptr);
  napi_create_reference(env, self, 1, &socket->self_);
  return self;
}

napi_value Socket::Self() const {
  napi_value self = nullptr;
  if (self_ != nullptr) napi_get_reference_value(instance()->env(), self_, &self);
  return self;
}

// setReading(isReading)
napi_value Socket::SetReading(napi_env env, napi_callback_info info) {
  size_t argc = 1;
  napi_value argument = nullptr;
  Socket* socket = From(env, info, &argc, &argument);
  napi_get_value_bool(env, argument, &socket->reads_);
  socket->Watch();
  return nullptr;
}

// send(bytes): gives how many bytes wait for the kernel now; they were copied.
napi_value Socket::Send(napi_env env, napi_callback_info info) {
  size_t argc = 1;
  napi_value argument = nullptr;
  Socket* socket = From(env, info, &argc, &argument);
  void* data = nullptr;
  size_t size = 0;
  napi_get_buffer_info(env, argument, &data, &size);
  return Number(env, static_cast<double>(socket->Write(static_cast<uint8_t*>(data), size)));
}

// shutdown(): ends the sending side.
napi_value Socket::Shutdown(napi_env env, napi_callback_info info) {
  Socket* socket = From(env, info);
  if (!socket->is_closed_) ::shutdown(socket->fd_, SHUT_WR);
  return nullptr;
}

napi_value Socket::CloseIt(napi_env env, napi_callback_info info) {
  From(env, info)->Close();
  return nullptr;
}

napi_value Socket::Unref(napi_env env, napi_callback_info info) {
  Socket* socket = From(env, info);
  if (!socket->is_closed_) uv_unref(reinterpret_cast<uv_handle_t*>(&socket->poll_));
  return nullptr;
}

// listen(): tells of each connection that comes.
napi_value Socket::Listen(napi_env env, napi_callback_info info) {
  Socket* socket = From(env, info);
  socket->role_ = Role::kListening;
  socket->reads_ = true;
  socket->instance()->KeepSpare();
  socket->Watch();
  return nullptr;
}

// expectConnection(): tells when it is connected, or why not.
napi_value Socket::ExpectConnection(napi_env env, napi_callback_info info) {
  Socket* socket = From(env, info);
  socket->role_ = Role::kConnecting;
  socket->Watch();
  return nullptr;
}

void Socket::Close() {
  if (is_closed_) return;
  is_closed_ = true;
  uv_close(reinterpret_cast<uv_handle_t*>(&poll_), OnClosed);
  ::close(fd_);
  out_.Clear();
}

void Socket::OnClosed(uv_handle_t* handle) {
  auto* socket = static_cast<Socket*>(handle->data);
  Instance* instance = socket->instance();
  napi_env env = instance->env();
  napi_handle_scope scope;
  napi_open_handle_scope(env, &scope);
  if (socket->self_ != nullptr) napi_delete_reference(env, socket->self_);
  socket->self_ = nullptr;
  napi_close_handle_scope(env, scope);
  socket->host_->Release();
  instance->Remove(socket);
  socket->is_released_ = true;
  if (socket->is_collected_) delete socket;
}

int Socket::Wanted() const {
  int wanted = 0;
  // What a broken connection still has to say is read, or its error found.
  if (broken_ != 0 || (reads_ && !is_over_)) wanted |= UV_READABLE;
  // Who is not read may still be gone.
  else if (!is_over_ && !has_hung_up_) wanted |= UV_DISCONNECT;
  if (role_ == Role::kConnecting || !out_.empty()) wanted |= UV_WRITABLE;
  return wanted;
}

void Socket::Watch() {
  // Each change costs system calls, and most pauses are over before anything comes: what is watched too much is left when it happens.
  const int told = (watched_ & UV_READABLE) != 0 ? watched_ | UV_DISCONNECT : watched_;
  if ((Wanted() & ~told) != 0) WatchOnly();
}

void Socket::WatchOnly() {
  const int wanted = Wanted();
  if (is_closed_ || wanted == watched_) return;
  watched_ = wanted;
  if (wanted == 0) uv_poll_stop(&poll_);
  else uv_poll_start(&poll_, wanted, OnPoll);
}

void Socket::OnPoll(uv_poll_t* poll, int status, int events) {
  auto* socket = static_cast<Socket*>(poll->data);
  if (socket->is_closed_) return;
  // The loop has stopped watching.
  if (status < 0) {
    socket->watched_ = 0;
    events = UV_READABLE;
  }
  if (socket->role_ == Role::kListening) {
    socket->Accept();
    socket->Watch();
    return;
  }
  if (socket->role_ == Role::kConnecting) {
    socket->Connected();
    return;
  }
  if (status < 0 && socket->broken_ == 0) {
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(socket->fd_, SOL_SOCKET, SO_ERROR, &error, &length);
    socket->broken_ = error == 0 ? ECONNRESET : error;
    socket->out_.Clear();
  }
  socket->Happened(events);
}

void Socket::Happened(int events) {
  // What is told again and again because nobody does anything about it.
  bool is_idle = false;
  if ((events & UV_WRITABLE) != 0) {
    if (!out_.empty()) Flush();
    is_idle = out_.empty();
  }
  if (is_closed_) return;
  if ((events & (UV_READABLE | UV_DISCONNECT)) != 0) {
    if (reads_ && !is_over_) Read();
    else if (broken_ != 0) Fail(broken_);
    else {
      is_idle = true;
      if (!is_over_ && HasEnded()) End();
    }
    if (is_over_) is_idle = true;
  }
  if ((events & UV_DISCONNECT) != 0) has_hung_up_ = true;
  if (is_idle) WatchOnly();
  else Watch();
}

size_t Socket::Offer(const uint8_t* bytes, size_t size) {
  size_t taken = 0;
  while (taken < size) {
    ssize_t n = ::send(fd_, bytes + taken, size - taken, MSG_NOSIGNAL);
    if (n >= 0) {
      taken += static_cast<size_t>(n);
      continue;
    }
    if (errno == EINTR) continue;
    if (!IsBlocked(errno)) broken_ = errno;
    break;
  }
  return taken;
}

size_t Socket::Write(const uint8_t* bytes, size_t size) {
  // Whoever reads it hears why.
  if (is_closed_ || broken_ != 0) return 0;
  size_t taken = out_.empty() && role_ == Role::kConnection ? Offer(bytes, size) : 0;
  if (broken_ != 0) out_.Clear();
  else if (taken < size) out_.Append(bytes + taken, size - taken);
  else return out_.size();
  Watch();
  return out_.size();
}

void Socket::Flush() {
  size_t taken = Offer(out_.data(), out_.size());
  if (broken_ != 0) out_.Clear();
  else out_.Sent(taken);
  if (broken_ == 0 && out_.empty()) host_->Tell(this, Event::kDrain);
}

void Socket::Read() {
  size_t room = 0;
  uint8_t* at = host_->Room(&room);
  if (at == nullptr) {
    Fail(ENOBUFS);
    return;
  }
  ssize_t n;
  do n = ::recv(fd_, at, room, 0);
  while (n < 0 && errno == EINTR);
  if (n > 0) {
    uint32_t offset = host_->Take(static_cast<size_t>(n));
    host_->Tell(this, Event::kChunk, offset, static_cast<uint32_t>(n));
    return;
  }
  if (n < 0 && IsBlocked(errno)) return;
  if (n < 0 || broken_ != 0) {
    Fail(n < 0 ? errno : broken_);
    return;
  }
  End();
}

bool Socket::HasEnded() const {
  uint8_t next;
  return ::recv(fd_, &next, 1, MSG_PEEK) == 0;
}

void Socket::End() {
  is_over_ = true;
  host_->Tell(this, Event::kEnd);
}

void Socket::Fail(int error) {
  is_over_ = true;
  broken_ = 0;
  host_->Tell(this, Event::kError, static_cast<uint32_t>(error), 0, uv_err_name(-error));
}

void Socket::Connected() {
  int error = 0;
  socklen_t length = sizeof error;
  getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &length);
  role_ = Role::kConnection;
  Watch();
  if (error != 0) Fail(error);
  else host_->Tell(this, Event::kConnected);
}

void Socket::Accept() {
  for (int i = 0; i < kAcceptsPerTurn && !is_closed_; i += 1) {
    sockaddr_storage peer{};
    socklen_t length = sizeof peer;
    int fd = ::accept4(fd_, reinterpret_cast<sockaddr*>(&peer), &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      // Else the loop would tell of that connection again and again.
      if ((errno == EMFILE || errno == ENFILE) && instance()->DropOneConnection(fd_)) continue;
      return;
    }
    char text[INET6_ADDRSTRLEN] = "";
    uint16_t port = 0;
    if (peer.ss_family == AF_INET) {
      auto* in = reinterpret_cast<sockaddr_in*>(&peer);
      inet_ntop(AF_INET, &in->sin_addr, text, sizeof text);
      port = ntohs(in->sin_port);
    } else if (peer.ss_family == AF_INET6) {
      auto* in = reinterpret_cast<sockaddr_in6*>(&peer);
      inet_ntop(AF_INET6, &in->sin6_addr, text, sizeof text);
      port = ntohs(in->sin6_port);
    }
    host_->Tell(this, Event::kAccepted, static_cast<uint32_t>(fd), port, text);
  }
}

}  // namespace switchyard

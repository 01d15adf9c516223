// Bytes that the kernel has not taken yet.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace switchyard {

class Outbox {
 public:
  bool empty() const { return sent_ == bytes_.size(); }
  size_t size() const { return bytes_.size() - sent_; }
  const uint8_t* data() const { return bytes_.data() + sent_; }

  // Copies the bytes.
  void Append(const uint8_t* bytes, size_t size) {
    // What is sent makes room when it is most of it, so that each byte is moved at most once.
    if (sent_ >= bytes_.size() / 2 && sent_ > 0) {
      bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(sent_));
      sent_ = 0;
    }
    bytes_.insert(bytes_.end(), bytes, bytes + size);
  }

  void Sent(size_t size) {
    sent_ += size;
    if (empty()) Clear();
  }

  void Clear() {
    // An idle connection keeps no memory.
    std::vector<uint8_t>().swap(bytes_);
    sent_ = 0;
  }

 private:
  std::vector<uint8_t> bytes_;
  size_t sent_ = 0;
};

}  // namespace switchyard

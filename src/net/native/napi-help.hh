// Short words for what Node-API says at length.
#pragma once

#include <node_api.h>
#include <uv.h>

namespace switchyard {

inline napi_property_descriptor Method(const char* name, napi_callback call) {
  return {name, nullptr, call, nullptr, nullptr, nullptr, napi_default, nullptr};
}

inline napi_value Number(napi_env env, double number) {
  napi_value value = nullptr;
  napi_create_double(env, number, &value);
  return value;
}

// Throws the error of the system as Node would: with its name as `code`.
inline napi_value Throw(napi_env env, int error) {
  napi_throw_error(env, uv_err_name(-error), uv_strerror(-error));
  return nullptr;
}

}  // namespace switchyard

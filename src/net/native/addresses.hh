// Descriptors for addresses. Numeric addresses only: names are looked up by whoever asks.
#pragma once

#include <node_api.h>

namespace switchyard {

// listen(address, port, backlog): a descriptor that listens. Throws the error of the system, as `connect` does.
napi_value Listen(napi_env env, napi_callback_info info);
// connect(address, port): a descriptor that is connecting.
napi_value Connect(napi_env env, napi_callback_info info);
// portOf(descriptor): its own port.
napi_value PortOf(napi_env env, napi_callback_info info);
// tune(descriptor, keepAliveMs): no delay, and TCP tests the connection after so much silence (0: it does not).
napi_value Tune(napi_env env, napi_callback_info info);

}  // namespace switchyard

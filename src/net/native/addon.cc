// The native engine: TCP sockets on the event loop of the program without Node's streams. What is read lies in slabs that JavaScript cuts
// into pieces, what is written goes to the kernel at once, and a readable socket costs one call. See addon.ts for the interface.

#include "addresses.hh"
#include "host.hh"
#include "instance.hh"
#include "napi-help.hh"
#include "socket.hh"

namespace switchyard {

namespace {

napi_value Init(napi_env env, napi_value exports) {
  if (Instance::Begin(env) == nullptr) return nullptr;
  napi_property_descriptor functions[] = {
      Method("listen", Listen),
      Method("connect", Connect),
      Method("portOf", PortOf),
      Method("tune", Tune),
  };
  napi_define_properties(env, exports, sizeof functions / sizeof *functions, functions);
  napi_set_named_property(env, exports, "Host", Host::Define(env));
  napi_set_named_property(env, exports, "Socket", Socket::Define(env));
  return exports;
}

}  // namespace

}  // namespace switchyard

NAPI_MODULE(switchyard_native, switchyard::Init)

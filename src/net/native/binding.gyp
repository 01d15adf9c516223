{
  'targets': [
    {
      'target_name': 'switchyard_native',
      'sources': ['addon.cc', 'addresses.cc', 'host.cc', 'instance.cc', 'socket.cc'],
      'cflags_cc': ['-std=c++17', '-Wall', '-Wextra', '-fvisibility=hidden'],
      'configurations': {
        # For the tests of the addon only.
        'Debug': {
          'cflags_cc': ['-O1', '-fsanitize=address,undefined', '-fno-sanitize-recover=undefined', '-fno-omit-frame-pointer'],
          'ldflags': ['-fsanitize=address,undefined'],
        },
      },
    },
  ],
}

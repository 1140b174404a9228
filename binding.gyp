# The addon without CMake: `npx node-gyp rebuild`; `npm run test:gyp` tries it. CPU only, built-in
# kernels only (no oneDNN). Same sources and instruction-set builds as CMakeLists.txt.
{
  'variables': {
    'openssl_fips': '',
    'avx2_flags': ['-mavx2', '-mfma', '-mf16c'],
    'avx512_flags': ['-mavx512f', '-mavx512bw', '-mavx512dq', '-mavx512vl', '-mfma', '-mprefer-vector-width=512'],
  },
  'target_defaults': {
    'include_dirs': ['native', "<!(node -p \"require('node-addon-api').include_dir\")"],
    'defines': ['NAPI_VERSION=9', 'NAPI_CPP_EXCEPTIONS'],
    'cflags!': ['-fno-exceptions'],
    'cflags_cc!': ['-fno-exceptions', '-fno-rtti', '-std=gnu++17', '-std=gnu++20'],
    'cflags_cc': ['-std=c++17', '-O3', '-fno-math-errno', '-fno-trapping-math', '-ffp-contract=fast', '-fvisibility=hidden',
                  '-fvisibility-inlines-hidden'],
    'conditions': [
      ['OS=="linux"', {'cflags_cc': ['-fopenmp'], 'ldflags': ['-fopenmp']}],
      ['OS=="mac"', {'xcode_settings': {
        'GCC_ENABLE_CPP_EXCEPTIONS': 'YES', 'CLANG_CXX_LANGUAGE_STANDARD': 'c++17', 'GCC_OPTIMIZATION_LEVEL': '3',
        'GCC_SYMBOLS_PRIVATE_EXTERN': 'YES', 'MACOSX_DEPLOYMENT_TARGET': '11.0',
        'OTHER_CPLUSPLUSFLAGS': ['-fno-math-errno', '-fno-trapping-math', '-ffp-contract=fast', '-Wno-unknown-pragmas'],
      }}],
    ],
  },
  'targets': [
    {
      'target_name': 'hessia',
      'sources': ['<!@(node native/sources.cjs plain)', '<!@(node native/sources.cjs isa)', '<!@(node native/sources.cjs addon)'],
      'defines': ['HESSIA_ISA_NS=baseline'],
      'conditions': [
        ['target_arch=="x64"', {'dependencies': ['hessia_avx2', 'hessia_avx512']}],
        ['OS=="linux"', {'libraries': ['-ldl', '-lpthread']}],
      ],
    },
  ],
  'conditions': [
    ['target_arch=="x64"', {
      'targets': [
        {
          'target_name': 'hessia_avx2',
          'type': 'static_library',
          'sources': ['<!@(node native/sources.cjs isa)'],
          'defines': ['HESSIA_ISA_NS=avx2'],
          'cflags_cc': ['<@(avx2_flags)'],
          'xcode_settings': {'OTHER_CPLUSPLUSFLAGS': ['<@(avx2_flags)']},
        },
        {
          'target_name': 'hessia_avx512',
          'type': 'static_library',
          'sources': ['<!@(node native/sources.cjs isa)'],
          'defines': ['HESSIA_ISA_NS=avx512'],
          'cflags_cc': ['<@(avx512_flags)'],
          'xcode_settings': {'OTHER_CPLUSPLUSFLAGS': ['<@(avx512_flags)']},
        },
      ],
    }],
  ],
}

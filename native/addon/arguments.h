// Reading arguments: anything unexpected is INVALID_ARGUMENT.
#pragma once
#include <napi.h>

#include <cmath>
#include <string>

#include "addon/errors.h"
#include "addon/handles.h"

namespace hessia::addon {

inline double number(const Napi::Value& value, const char* what) {
  if (!value.IsNumber()) invalid(std::string(what) + " is not a number");
  return value.As<Napi::Number>().DoubleValue();
}
// An integer from 0 to 2^53.
inline int64_t whole(const Napi::Value& value, const char* what) {
  const double x = number(value, what);
  if (!(x >= 0 && x <= 9007199254740992.0) || x != std::floor(x)) invalid(std::string(what) + " is not a whole number");
  return static_cast<int64_t>(x);
}
inline DType float_type(const Napi::Value& value) {
  const std::string name = value.IsString() ? value.As<Napi::String>().Utf8Value() : std::string();
  if (name == "float32") return DType::Float32;
  if (name == "float64") return DType::Float64;
  invalid("dtype is neither 'float32' nor 'float64'");
}
// 'bfloat16' too, for the calls that take it.
inline DType row_type(const Napi::Value& value) {
  if (value.IsString() && value.As<Napi::String>().Utf8Value() == "bfloat16") return kBFloat16;
  return float_type(value);
}
inline Napi::Object object(const Napi::Value& value, const char* what) {
  if (!value.IsObject()) invalid(std::string(what) + " is not an object");
  return value.As<Napi::Object>();
}
inline BufferRows rows(const Napi::Value& value, const Device* device) {
  const Napi::Object o = object(value, "rows");
  return {BufferHandle::get(o.Get("buffer"), device), whole(o.Get("offset"), "offset"), whole(o.Get("rows"), "rows"),
          whole(o.Get("stride"), "stride")};
}
inline SparseRows sparse_rows(const Napi::Value& value, const Device* device) {
  const Napi::Object o = object(value, "sparse rows");
  return {BufferHandle::get(o.Get("indices"), device), BufferHandle::get(o.Get("values"), device), whole(o.Get("rows"), "rows"),
          whole(o.Get("block"), "block"), whole(o.Get("keep"), "keep")};
}
// null: none
inline GridRows grid_rows(const Napi::Value& value, const Device* device) {
  GridRows grid;
  if (value.IsNull()) return grid;
  const Napi::Object o = object(value, "grid");
  const double low = number(o.Get("low"), "low"), high = number(o.Get("high"), "high");
  if (!(low >= -32768 && low < high && high <= 65535)) invalid("the grid has no room");
  grid.low = static_cast<int>(low), grid.high = static_cast<int>(high);
  grid.symmetric = o.Get("symmetric").ToBoolean(), grid.later = o.Get("later").ToBoolean();
  const Napi::Value group = o.Get("group");
  if (!group.IsTypedArray() || group.As<Napi::TypedArray>().TypedArrayType() != napi_int32_array) invalid("group is not an Int32Array");
  const Napi::Int32Array of = group.As<Napi::Int32Array>();
  grid.group.assign(of.Data(), of.Data() + of.ElementLength());
  grid.scales = rows(o.Get("scales"), device), grid.zeros = rows(o.Get("zeros"), device);
  return grid;
}
inline Napi::Float64Array float64_array(const Napi::Value& value, const char* what) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_float64_array) {
    invalid(std::string(what) + " is not a Float64Array");
  }
  return value.As<Napi::Float64Array>();
}

// The bytes of any ArrayBufferView. data is nullptr if the memory was given away (detached).
struct Bytes { char* data; size_t length; };
inline Bytes bytes_of(const Napi::Value& value) {
  if (value.IsTypedArray()) {
    const Napi::TypedArray a = value.As<Napi::TypedArray>();
    void* data = nullptr;
    if (napi_get_typedarray_info(value.Env(), value, nullptr, nullptr, &data, nullptr, nullptr) != napi_ok) invalid("not readable");
    return {static_cast<char*>(data), a.ByteLength()};
  }
  if (value.IsDataView()) {
    void* data = nullptr;
    size_t length = 0;
    if (napi_get_dataview_info(value.Env(), value, &length, &data, nullptr, nullptr) != napi_ok) invalid("not readable");
    return {static_cast<char*>(data), length};
  }
  invalid("not a typed array or DataView");
}

}  // namespace hessia::addon

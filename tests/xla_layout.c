/* Compiles only if src_c/xla.h describes XLA's structures as jaxlib's own header does. */
#include "xla/ffi/api/c_api.h"

#include "xla.h"

#define SAME_PLACE(ours, field, theirs, other)                                          \
    _Static_assert(offsetof(ours, field) == offsetof(theirs, other), #ours "." #field); \
    _Static_assert(sizeof(((ours *)0)->field) == sizeof(((theirs *)0)->other), #ours "." #field)
#define SAME_SIZE(ours, theirs) _Static_assert(sizeof(ours) == sizeof(theirs), #ours)
#define SAME_NUMBER(ours, theirs) _Static_assert((int)(ours) == (int)(theirs), #ours)

SAME_NUMBER(XLA_CALL_MAJOR, XLA_FFI_API_MAJOR);
SAME_NUMBER(XLA_BUFFER, XLA_FFI_ArgType_BUFFER);
SAME_NUMBER(XLA_BUFFER, XLA_FFI_RetType_BUFFER);
SAME_NUMBER(XLA_ARRAY, XLA_FFI_AttrType_ARRAY);
SAME_NUMBER(XLA_SCALAR, XLA_FFI_AttrType_SCALAR);
SAME_NUMBER(XLA_METADATA, XLA_FFI_Extension_Metadata);
SAME_NUMBER(XLA_EXECUTE, XLA_FFI_ExecutionStage_EXECUTE);
SAME_NUMBER(XLA_INVALID_ARGUMENT, XLA_FFI_Error_Code_INVALID_ARGUMENT);
SAME_NUMBER(XLA_INTERNAL, XLA_FFI_Error_Code_INTERNAL);
SAME_NUMBER(XLA_S64, XLA_FFI_DataType_S64);
SAME_NUMBER(XLA_U32, XLA_FFI_DataType_U32);
SAME_NUMBER(XLA_F16, XLA_FFI_DataType_F16);
SAME_NUMBER(XLA_F32, XLA_FFI_DataType_F32);
SAME_NUMBER(XLA_F64, XLA_FFI_DataType_F64);
SAME_NUMBER(XLA_BF16, XLA_FFI_DataType_BF16);
SAME_NUMBER(XLA_F8_E5M2, XLA_FFI_DataType_F8E5M2);
SAME_NUMBER(XLA_F8_E4M3FN, XLA_FFI_DataType_F8E4M3FN);

SAME_SIZE(xla_extension, XLA_FFI_Extension_Base);
SAME_PLACE(xla_extension, type, XLA_FFI_Extension_Base, type);
SAME_PLACE(xla_extension, next, XLA_FFI_Extension_Base, next);
SAME_SIZE(xla_version, XLA_FFI_Api_Version);
SAME_PLACE(xla_version, major, XLA_FFI_Api_Version, major_version);
SAME_PLACE(xla_version, minor, XLA_FFI_Api_Version, minor_version);
SAME_PLACE(xla_metadata, version, XLA_FFI_Metadata, api_version);
SAME_PLACE(xla_metadata_request, metadata, XLA_FFI_Metadata_Extension, metadata);

SAME_SIZE(xla_error_arguments, XLA_FFI_Error_Create_Args);
SAME_PLACE(xla_error_arguments, message, XLA_FFI_Error_Create_Args, message);
SAME_PLACE(xla_error_arguments, code, XLA_FFI_Error_Create_Args, errc);
SAME_PLACE(xla_api, new_error, XLA_FFI_Api, XLA_FFI_Error_Create);

SAME_PLACE(xla_buffer, dtype, XLA_FFI_Buffer, dtype);
SAME_PLACE(xla_buffer, data, XLA_FFI_Buffer, data);
SAME_PLACE(xla_buffer, rank, XLA_FFI_Buffer, rank);
SAME_PLACE(xla_buffer, dims, XLA_FFI_Buffer, dims);
SAME_PLACE(xla_scalar, dtype, XLA_FFI_Scalar, dtype);
SAME_PLACE(xla_scalar, value, XLA_FFI_Scalar, value);
SAME_PLACE(xla_array, dtype, XLA_FFI_Array, dtype);
SAME_PLACE(xla_array, size, XLA_FFI_Array, size);
SAME_PLACE(xla_array, data, XLA_FFI_Array, data);
SAME_PLACE(xla_name, text, XLA_FFI_ByteSpan, ptr);
SAME_PLACE(xla_name, length, XLA_FFI_ByteSpan, len);

SAME_SIZE(xla_values, XLA_FFI_Args);
SAME_PLACE(xla_values, size, XLA_FFI_Args, size);
SAME_PLACE(xla_values, types, XLA_FFI_Args, types);
SAME_PLACE(xla_values, values, XLA_FFI_Args, args);
SAME_SIZE(xla_values, XLA_FFI_Rets);
SAME_PLACE(xla_values, size, XLA_FFI_Rets, size);
SAME_PLACE(xla_values, types, XLA_FFI_Rets, types);
SAME_PLACE(xla_values, values, XLA_FFI_Rets, rets);
SAME_SIZE(xla_attributes, XLA_FFI_Attrs);
SAME_PLACE(xla_attributes, size, XLA_FFI_Attrs, size);
SAME_PLACE(xla_attributes, types, XLA_FFI_Attrs, types);
SAME_PLACE(xla_attributes, names, XLA_FFI_Attrs, names);
SAME_PLACE(xla_attributes, values, XLA_FFI_Attrs, attrs);
SAME_PLACE(xla_call, extensions, XLA_FFI_CallFrame, extension_start);
SAME_PLACE(xla_call, api, XLA_FFI_CallFrame, api);
SAME_PLACE(xla_call, stage, XLA_FFI_CallFrame, stage);
SAME_PLACE(xla_call, arguments, XLA_FFI_CallFrame, args);
SAME_PLACE(xla_call, results, XLA_FFI_CallFrame, rets);
SAME_PLACE(xla_call, attributes, XLA_FFI_CallFrame, attrs);
